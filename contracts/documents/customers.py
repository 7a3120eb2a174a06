"""The document of one customer with its orders: read model `customer_orders`."""

from __future__ import annotations

from datetime import datetime

import msgspec

from contracts.documents.orders import OrderDocument
from contracts.money import Money
from slackwater.read_models.documents import Collection, Index

RECENT_ORDERS_MAX = 30
"""How many of the newest orders a customer's document holds."""


class CustomerState(msgspec.Struct, frozen=True, kw_only=True):
    """What the customers service itself knows of a customer, and answers to commands."""

    id: str
    name: str
    email: str
    credit_limit: Money
    credit_reserved: Money
    created_at: datetime


class CustomerDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A customer with its newest orders, newest first (by `placed_at`, then id, descending).

    `order_count` counts all orders ever placed; `order_total_minor` sums those in the customer's
    currency that were not rejected or cancelled.  Until the customer's own first event is applied
    the row has version 0 (invisible) and holds only the fields of its orders.
    """

    id: str
    name: str
    email: str
    credit_limit: Money
    credit_reserved: Money
    created_at: datetime
    orders: list[OrderDocument]
    order_count: int
    order_total_minor: dict[str, int]
    """By currency; the gateway shows the customer's own."""


CUSTOMERS_COLLECTION = Collection(
    name="customer_orders", indexes=(Index(paths=("email", "id")), Index(paths=("name", "id")))
)
ORDER_LEDGER_COLLECTION = Collection(name="customer_orders_ledger")
"""Private to the projection: an `OrderDocument` an order, whose row carries the order's version."""
