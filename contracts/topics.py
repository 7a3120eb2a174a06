"""The topics of the store and how they are keyed.

Topics keyed by customer id have equal partition counts, so that one projector owns all that feeds
one customer's document.
"""

from __future__ import annotations

from slackwater.event_log.port import Topic

PARTITIONS = 4

CUSTOMERS = Topic(name="customers.events", partitions=PARTITIONS)
"""Customers and their credit, keyed by customer id."""

ORDERS = Topic(name="orders.events", partitions=PARTITIONS)
"""Orders, keyed by customer id."""

RESERVATIONS = Topic(name="inventory.reservations", partitions=PARTITIONS)
"""What inventory answered to orders, keyed by customer id."""

PRODUCTS = Topic(name="inventory.products", partitions=PARTITIONS)
"""Products and their stock, keyed by sku."""
