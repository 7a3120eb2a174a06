"""What the orders service publishes, on the topic `orders.events`: the order is these events."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from contracts.events.registry import event_types
from contracts.money import Money
from contracts.topics import ORDERS
from slackwater.events.event import EventBody

ORDER = "order"


class RejectionReason(StrEnum):
    """Why an order was rejected."""

    CREDIT_LIMIT_EXCEEDED = "CREDIT_LIMIT_EXCEEDED"
    UNKNOWN_CUSTOMER = "UNKNOWN_CUSTOMER"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    OUT_OF_STOCK = "OUT_OF_STOCK"
    TIMED_OUT = "TIMED_OUT"


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """What is ordered, with the product's name and price at the time of ordering."""

    sku: str
    product_name: str
    quantity: int
    unit_price: Money
    total: Money


@event_types.register("orders.order-placed", aggregate_type=ORDER, topic=ORDERS)
class OrderPlaced(EventBody, frozen=True, kw_only=True):
    """An order waits for credit and stock until its deadline."""

    customer_id: str
    lines: list[OrderLine]
    total: Money
    note: str | None
    deadline: datetime


@event_types.register("orders.credit-agreed", aggregate_type=ORDER, topic=ORDERS)
class CreditAgreed(EventBody, frozen=True, kw_only=True):
    """Credit is reserved; stock has not answered yet."""


@event_types.register("orders.stock-agreed", aggregate_type=ORDER, topic=ORDERS)
class StockAgreed(EventBody, frozen=True, kw_only=True):
    """Stock is reserved; credit has not answered yet."""


@event_types.register("orders.order-approved", aggregate_type=ORDER, topic=ORDERS)
class OrderApproved(EventBody, frozen=True, kw_only=True):
    """Both credit and stock are reserved."""


@event_types.register("orders.order-rejected", aggregate_type=ORDER, topic=ORDERS)
class OrderRejected(EventBody, frozen=True, kw_only=True):
    """Credit or stock was refused, or one stayed silent; whoever reserved releases."""

    reason: RejectionReason


@event_types.register("orders.order-cancelled", aggregate_type=ORDER, topic=ORDERS)
class OrderCancelled(EventBody, frozen=True, kw_only=True):
    """The customer does not want it any more; whoever reserved releases."""

    reason: str | None


@event_types.register("orders.order-shipped", aggregate_type=ORDER, topic=ORDERS)
class OrderShipped(EventBody, frozen=True, kw_only=True):
    """The goods have left: credit is released, stock is gone."""
