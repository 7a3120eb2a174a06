"""How an order's events change its document; shared by the read models that hold whole orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from contracts.documents.orders import OrderStatus, SagaStep
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
from contracts.timestamps import to_text
from slackwater.events.event import EventBody, Recorded
from slackwater.read_models.documents import Document

ORDER_EVENTS: tuple[type[EventBody], ...] = (
    OrderPlaced,
    CreditAgreed,
    StockAgreed,
    OrderApproved,
    OrderRejected,
    OrderCancelled,
    OrderShipped,
)


def change_order(order: Document, recorded: Recorded[Any]) -> None:
    """Change the document of the order as its next event says."""
    _CHANGES[type(recorded.body)](order, recorded)
    order["updated_at"] = to_text(recorded.event.time)


def _place(order: Document, recorded: Recorded[OrderPlaced]) -> None:
    placed = recorded.body
    order.update(
        customer_id=placed.customer_id,
        status=OrderStatus.PENDING,
        rejection_reason=None,
        lines=_json(placed.lines),
        total=_json(placed.total),
        note=placed.note,
        placed_at=to_text(recorded.event.time),
        processing={
            "since": to_text(recorded.event.time),
            "deadline": to_text(placed.deadline),
            "credit": SagaStep.WAITING,
            "stock": SagaStep.WAITING,
        },
    )


def _agree_credit(order: Document, _: Recorded[CreditAgreed]) -> None:
    order["processing"]["credit"] = SagaStep.AGREED


def _agree_stock(order: Document, _: Recorded[StockAgreed]) -> None:
    order["processing"]["stock"] = SagaStep.AGREED


def _approve(order: Document, _: Recorded[OrderApproved]) -> None:
    order["status"] = OrderStatus.APPROVED
    order["processing"].update(credit=SagaStep.AGREED, stock=SagaStep.AGREED)


def _reject(order: Document, recorded: Recorded[OrderRejected]) -> None:
    reason = recorded.body.reason
    order["status"] = OrderStatus.REJECTED
    order["rejection_reason"] = reason
    if reason is RejectionReason.OUT_OF_STOCK:
        order["processing"]["stock"] = SagaStep.REFUSED
    elif reason is not RejectionReason.TIMED_OUT:
        order["processing"]["credit"] = SagaStep.REFUSED


def _cancel(order: Document, _: Recorded[OrderCancelled]) -> None:
    order["status"] = OrderStatus.CANCELLED


def _ship(order: Document, _: Recorded[OrderShipped]) -> None:
    order["status"] = OrderStatus.SHIPPED


_CHANGES = cast(
    "dict[type[EventBody], Callable[[Document, Recorded[Any]], None]]",
    {
        OrderPlaced: _place,
        CreditAgreed: _agree_credit,
        StockAgreed: _agree_stock,
        OrderApproved: _approve,
        OrderRejected: _reject,
        OrderCancelled: _cancel,
        OrderShipped: _ship,
    },
)


def _json(value: Any) -> Any:
    return msgspec.to_builtins(value)
