"""What every read model should hold and what services must agree on, computed from their facts.

These rules are written a second time on purpose: sharing code with the projections or the saga
would share their mistakes. Import rules keep them apart.
"""

from __future__ import annotations

from projectors.expectations import customer_orders, order_search, orders, products, reservations

expectations = (
    customer_orders.expectation,
    orders.expectation,
    products.expectation,
    order_search.expectation,
)

shared_invariants = (reservations.shared_invariant,)
