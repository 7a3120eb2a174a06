"""The book of orders: streams of events, with the index that follows them in one transaction.

No order has more than four events yet; those that go on once they are decided get a snapshot, so
that reading one is what everything else tries, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, update

from contracts.events.orders import OrderPlaced
from contracts.timestamps import to_text
from slackwater.event_store.aggregates import Aggregates, Loaded
from slackwater.event_store.snapshots import Snapshots
from slackwater.events.event import EventBody
from slackwater.outbox.unit_of_work import UnitOfWork
from write_services.orders import domain
from write_services.orders.domain import Order
from write_services.orders.tables import order_index, streams

SNAPSHOT_EVERY = 3

_SNAPSHOT_SCHEMA = 1  # of `Order`, and of how events add up to one: raise it with either

snapshots = Snapshots(streams, Order, schema_version=_SNAPSHOT_SCHEMA)
orders = Aggregates(streams, snapshots, apply=domain.apply, every=SNAPSHOT_EVERY)

_INSERT = insert(order_index)
_UPDATE = update(order_index).where(order_index.c.order_id == bindparam("of_order"))


def find(connection: Connection, order_id: str, *, as_of: datetime | None = None) -> Order | None:
    """Return an order as it is, or as it was at a moment."""
    return orders.find(connection, order_id, as_of=as_of)


def find_many(connection: Connection, order_ids: Sequence[str]) -> list[Order]:
    """Return those orders that exist, in the sequence asked for."""
    found = orders.find_many(connection, order_ids)
    return [found[order_id] for order_id in order_ids if order_id in found]


def place(unit: UnitOfWork, order_id: str, placed: OrderPlaced) -> Order:
    """Begin an order's stream, with its row in the index."""
    order = orders.append(unit, order_id, Loaded(0, None), [placed], placed.customer_id)
    _insert_row(unit.connection, order)
    return order


def go_on(unit: UnitOfWork, order: Order, events: Sequence[EventBody]) -> Order:
    """Append what was decided on an order, and bring its row in the index up to date.

    Nothing decided changes nothing.

    Raises:
        WrongVersionError: the order has moved on.
    """
    if not events:
        return order
    document = order.document
    loaded = Loaded(order.version, order)
    changed = orders.append(unit, document.id, loaded, events, document.customer_id)
    _update_row(unit.connection, changed)
    return changed


def _insert_row(connection: Connection, order: Order) -> None:
    document = order.document
    connection.execute(
        _INSERT,
        {
            "order_id": document.id,
            "customer_id": document.customer_id,
            "placed_at": to_text(document.placed_at),
            "status": document.status,
            "version": order.version,
            "deadline": to_text(document.processing.deadline),
            "total_minor": document.total.minor,
            "currency": document.total.currency,
        },
    )


def _update_row(connection: Connection, order: Order) -> None:
    changed = {"of_order": order.document.id, "status": order.status, "version": order.version}
    connection.execute(_UPDATE, changed)
