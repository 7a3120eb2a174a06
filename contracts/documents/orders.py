"""The document of one order: read model `orders`, an entry of `customer_orders`, and the answer of
the orders service to commands and queries all have this one shape.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from contracts.events.orders import OrderLine, RejectionReason
from contracts.money import Money
from slackwater.read_models.documents import Collection, Index


class OrderStatus(StrEnum):
    """Where an order stands."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    SHIPPED = "SHIPPED"


class SagaStep(StrEnum):
    """What one side of the saga has answered."""

    WAITING = "WAITING"
    AGREED = "AGREED"
    REFUSED = "REFUSED"


class Processing(msgspec.Struct, frozen=True, kw_only=True):
    """The saga's stage; stays with the order after its decision."""

    since: datetime
    deadline: datetime
    credit: SagaStep
    stock: SagaStep


class OrderDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One order."""

    id: str
    customer_id: str
    status: OrderStatus
    rejection_reason: RejectionReason | None
    lines: list[OrderLine]
    total: Money
    note: str | None
    placed_at: datetime
    updated_at: datetime
    processing: Processing


ORDERS_COLLECTION = Collection(
    name="orders",
    indexes=(
        Index(paths=("placed_at", "id")),
        Index(paths=("status", "placed_at", "id")),
        Index(paths=("customer_id", "placed_at", "id")),
        Index(paths=("customer_id", "status", "placed_at", "id")),
    ),
)
