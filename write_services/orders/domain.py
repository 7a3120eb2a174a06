"""An order as its events: how they add up, and which may follow.

    PENDING ─┬─ credit and stock have agreed ──► APPROVED ── ship ──► SHIPPED
             ├─ one refuses, or the deadline passes ──► REJECTED
             └─ cancel (from APPROVED, too) ──► CANCELLED

A decided order is never reopened: what arrives late or twice leads to no event.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from contracts.documents.orders import OrderDocument, OrderStatus, Processing, SagaStep
from contracts.events.orders import (
    CreditAgreed,
    OrderApproved,
    OrderCancelled,
    OrderPlaced,
    OrderRejected,
    OrderShipped,
    RejectionReason,
    StockAgreed,
)
from slackwater.errors import StructuralError
from slackwater.events.event import EventBody, Recorded
from slackwater.service.commands import Refusal

REASON_LENGTH_MAX = 500

ORDER_NOT_FOUND = Refusal(code="ORDER_NOT_FOUND", message="There is no such order.")

_CANCELLABLE = (OrderStatus.PENDING, OrderStatus.APPROVED)


class BrokenStreamError(StructuralError):
    """An order's stream does not begin with its placing; restore the database."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order at one version: what others are told of it is its document."""

    version: int
    document: OrderDocument

    @property
    def status(self) -> OrderStatus:
        return self.document.status

    @property
    def is_pending(self) -> bool:
        return self.document.status is OrderStatus.PENDING


def apply(order: Order | None, recorded: Recorded[Any]) -> Order:
    """Return the order as one more event makes it; the first one makes it of None."""
    event, body = recorded.event, recorded.body
    if isinstance(body, OrderPlaced):
        return Order(version=event.version, document=_placed(recorded))
    if order is None:
        raise BrokenStreamError(
            f"the stream of order {event.aggregate_id} begins with {event.type}; "
            "restore the database"
        )
    document = msgspec.structs.replace(
        order.document, updated_at=event.time, **_changes(order.document.processing, body)
    )
    return Order(version=event.version, document=document)


def fold(history: Iterable[Recorded[Any]]) -> Order | None:
    """Return the order that these events make, None where there are none."""
    order: Order | None = None
    for recorded in history:
        order = apply(order, recorded)
    return order


def agree_credit(order: Order) -> list[EventBody]:
    processing = order.document.processing
    if not order.is_pending or processing.credit is not SagaStep.WAITING:
        return []
    return [OrderApproved() if processing.stock is SagaStep.AGREED else CreditAgreed()]


def agree_stock(order: Order) -> list[EventBody]:
    processing = order.document.processing
    if not order.is_pending or processing.stock is not SagaStep.WAITING:
        return []
    return [OrderApproved() if processing.credit is SagaStep.AGREED else StockAgreed()]


def refuse(order: Order, reason: RejectionReason) -> list[EventBody]:
    return [OrderRejected(reason=reason)] if order.is_pending else []


def time_out(order: Order, now: datetime) -> list[EventBody]:
    if not order.is_pending or now < order.document.processing.deadline:
        return []
    return [OrderRejected(reason=RejectionReason.TIMED_OUT)]


def cancel(order: Order, reason: str | None) -> list[EventBody] | Refusal:
    if reason is not None and (len(reason) > REASON_LENGTH_MAX or "\0" in reason):
        return Refusal(
            code="INVALID_INPUT",
            message=f"A reason has at most {REASON_LENGTH_MAX} characters.",
            details={"field": "reason"},
        )
    if order.status not in _CANCELLABLE:
        return _not_now("ORDER_NOT_CANCELLABLE", order, "A pending or approved")
    return [OrderCancelled(reason=reason)]


def ship(order: Order) -> list[EventBody] | Refusal:
    if order.status is not OrderStatus.APPROVED:
        return _not_now("ORDER_NOT_SHIPPABLE", order, "An approved")
    return [OrderShipped()]


def _placed(recorded: Recorded[OrderPlaced]) -> OrderDocument:
    event, body = recorded.event, recorded.body
    return OrderDocument(
        id=event.aggregate_id,
        customer_id=body.customer_id,
        status=OrderStatus.PENDING,
        rejection_reason=None,
        lines=body.lines,
        total=body.total,
        note=body.note,
        placed_at=event.time,
        updated_at=event.time,
        processing=Processing(
            since=event.time,
            deadline=body.deadline,
            credit=SagaStep.WAITING,
            stock=SagaStep.WAITING,
        ),
    )


def _changes(processing: Processing, body: EventBody) -> dict[str, Any]:
    match body:
        case CreditAgreed():
            return {"processing": _answered(processing, credit=SagaStep.AGREED)}
        case StockAgreed():
            return {"processing": _answered(processing, stock=SagaStep.AGREED)}
        case OrderApproved():
            agreed = _answered(processing, credit=SagaStep.AGREED, stock=SagaStep.AGREED)
            return {"status": OrderStatus.APPROVED, "processing": agreed}
        case OrderRejected(reason=reason):
            return {
                "status": OrderStatus.REJECTED,
                "rejection_reason": reason,
                "processing": _refused(processing, reason),
            }
        case OrderCancelled():
            return {"status": OrderStatus.CANCELLED}
        case OrderShipped():
            return {"status": OrderStatus.SHIPPED}
    raise BrokenStreamError(f"{body!r} is no event of an order; restore the database")


def _refused(processing: Processing, reason: RejectionReason) -> Processing:
    if reason is RejectionReason.TIMED_OUT:
        return processing
    if reason is RejectionReason.OUT_OF_STOCK:
        return _answered(processing, stock=SagaStep.REFUSED)
    return _answered(processing, credit=SagaStep.REFUSED)


def _answered(processing: Processing, **steps: SagaStep) -> Processing:
    return msgspec.structs.replace(processing, **steps)


def _not_now(code: str, order: Order, wanted: str) -> Refusal:
    return Refusal(
        code=code,
        message=f"{wanted} order is needed; this one is {order.status.lower()}.",
        details={"status": order.status},
    )
