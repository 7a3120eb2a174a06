"""The deadline of orders: who is not answered by then is rejected, and nobody waits for ever."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, Select, select

from contracts.documents.orders import OrderStatus
from contracts.timestamps import to_text
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.service.definition import Periodic
from write_services.orders import domain, order_book
from write_services.orders.tables import order_index

ORDER_DEADLINE_MS = 30_000

_LOOK_INTERVAL_MS = 1_000
_BATCH_MAX = 200


def deadline_from(placed_at: datetime) -> datetime:
    """Return when an order placed now must have been answered."""
    return placed_at + timedelta(milliseconds=ORDER_DEADLINE_MS)


def any_overdue(connection: Connection, now: datetime) -> bool:
    return connection.execute(_overdue(now, limit=1)).first() is not None


def reject_overdue(unit: UnitOfWork) -> None:
    order_ids = list(unit.connection.execute(_overdue(unit.now, limit=_BATCH_MAX)).scalars())
    for order in order_book.find_many(unit.connection, order_ids):
        order_book.go_on(unit, order, domain.time_out(order, unit.now))


def _overdue(now: datetime, *, limit: int) -> Select[str]:
    return (
        select(order_index.c.order_id)
        .where(
            order_index.c.status == OrderStatus.PENDING,
            order_index.c.deadline <= to_text(now),
        )
        .order_by(order_index.c.deadline)
        .limit(limit)
    )


deadline = Periodic(
    name="deadline", interval_ms=_LOOK_INTERVAL_MS, due=any_overdue, work=reject_overdue
)
