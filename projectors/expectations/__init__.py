"""What every read model should hold, computed from the services' facts and never by projecting.

These rules are written a second time on purpose: sharing code with the projections would share
their mistakes. An import rule keeps the two apart.
"""

from __future__ import annotations

from projectors.expectations import customer_orders, order_search, orders, products

expectations = (
    customer_orders.expectation,
    orders.expectation,
    products.expectation,
    order_search.expectation,
)
