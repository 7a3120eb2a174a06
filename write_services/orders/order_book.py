"""The book of orders: streams of events, with the index that follows them in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, update

from contracts.timestamps import to_text
from slackwater.events.event import EventBody
from slackwater.outbox.unit_of_work import UnitOfWork
from write_services.orders import domain
from write_services.orders.domain import Order
from write_services.orders.tables import order_index, streams


def find(connection: Connection, order_id: str, *, as_of: datetime | None = None) -> Order | None:
    """Return an order as it is, or as it was at a moment."""
    return domain.fold(streams.load(connection, order_id, as_of=as_of))


def find_many(connection: Connection, order_ids: Sequence[str]) -> list[Order]:
    """Return those orders that exist, in the sequence asked for."""
    histories = streams.load_many(connection, order_ids)
    folded = (domain.fold(histories.get(order_id, ())) for order_id in order_ids)
    return [order for order in folded if order is not None]


def write(
    unit: UnitOfWork,
    order_id: str,
    events: Sequence[EventBody],
    *,
    customer_id: str,
    expected_version: int,
) -> Order:
    """Append events to an order and bring its row in the index up to date.

    Raises:
        WrongVersionError: the order is not at `expected_version`.
    """
    streams.append(unit, order_id, expected_version, events, customer_id)
    order = find(unit.connection, order_id)
    if order is None:
        raise LookupError(f"order {order_id} has no events; append some")
    if expected_version == 0:
        _insert_row(unit.connection, order)
    else:
        _update_row(unit.connection, order)
    return order


def go_on(unit: UnitOfWork, order: Order, events: Sequence[EventBody]) -> Order:
    """Append what was decided on an order; nothing decided changes nothing."""
    if not events:
        return order
    return write(
        unit,
        order.document.id,
        events,
        customer_id=order.document.customer_id,
        expected_version=order.version,
    )


def _insert_row(connection: Connection, order: Order) -> None:
    document = order.document
    connection.execute(
        insert(order_index).values(
            order_id=document.id,
            customer_id=document.customer_id,
            placed_at=to_text(document.placed_at),
            status=document.status,
            version=order.version,
            deadline=to_text(document.processing.deadline),
            total_minor=document.total.minor,
            currency=document.total.currency,
        )
    )


def _update_row(connection: Connection, order: Order) -> None:
    connection.execute(
        update(order_index)
        .where(order_index.c.order_id == order.document.id)
        .values(status=order.status, version=order.version)
    )
