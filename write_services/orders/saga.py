"""How an order is decided: approved when credit and stock have agreed, rejected when one refuses.

The answers come in any order, late or twice; an order that is decided already ignores them. Any of
them may be discarded: an order without it times out, is rejected, and all that is held for it goes.
"""

from __future__ import annotations

from collections.abc import Callable

from contracts.events.customers import CreditRefused, CreditReserved
from contracts.events.inventory import StockRefused, StockReserved
from contracts.events.orders import RejectionReason
from slackwater.events.event import EventBody, Recorded
from slackwater.logs import logger
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.service.definition import Consumer
from write_services.orders import domain, order_book
from write_services.orders.domain import Order

saga = Consumer("saga")
_log = logger("saga")


@saga.on(CreditReserved, may_be_discarded=True)
def credit_reserved(unit: UnitOfWork, recorded: Recorded[CreditReserved]) -> None:
    _decide(unit, recorded.body.order_id, domain.agree_credit)


@saga.on(CreditRefused, may_be_discarded=True)
def credit_refused(unit: UnitOfWork, recorded: Recorded[CreditRefused]) -> None:
    reason = RejectionReason(recorded.body.reason.value)
    _decide(unit, recorded.body.order_id, lambda order: domain.refuse(order, reason))


@saga.on(StockReserved, may_be_discarded=True)
def stock_reserved(unit: UnitOfWork, recorded: Recorded[StockReserved]) -> None:
    _decide(unit, recorded.event.aggregate_id, domain.agree_stock)


@saga.on(StockRefused, may_be_discarded=True)
def stock_refused(unit: UnitOfWork, recorded: Recorded[StockRefused]) -> None:
    reason = RejectionReason(recorded.body.reason.value)
    _decide(unit, recorded.event.aggregate_id, lambda order: domain.refuse(order, reason))


def _decide(unit: UnitOfWork, order_id: str, decision: Callable[[Order], list[EventBody]]) -> None:
    order = order_book.find(unit.connection, order_id)
    if order is None:
        _log.warning("an answer to an order that was never placed here", order_id=order_id)
        return
    order_book.go_on(unit, order, decision(order))
