"""What inventory remembers of each order: one row, whatever came of it.

(nothing) ── placed ──► RESERVED ─┬─ rejected or cancelled ──► RELEASED
│   └─── placed ──► REFUSED   └─ shipped ──► SHIPPED
└─ rejected, cancelled or shipped ──► CLOSED: a late OrderPlaced reserves nothing
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from types import MappingProxyType

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update

from contracts.events.inventory import StockRefused, StockReleased, StockReserved, StockShipped
from slackwater.outbox.unit_of_work import UnitOfWork
from write_services.inventory.domain import Quantities
from write_services.inventory.tables import stock_answer
from write_services.inventory.tables import stock_reservation as table
from write_services.inventory.tables import stock_reservation_line as line

_NOTHING: Quantities = MappingProxyType({})

_SELECT = select(table).where(table.c.order_id == bindparam("of_order"))
_INSERT = insert(table)
_UPDATE = update(table).where(table.c.order_id == bindparam("of_order"))
_SELECT_LINES = (
    select(line.c.sku, line.c.quantity)
    .where(line.c.order_id == bindparam("of_order"))
    .order_by(line.c.sku)
)
_SELECT_SKUS = (
    select(line.c.sku).where(line.c.order_id.in_(bindparam("order_ids", expanding=True))).distinct()
)
_INSERT_LINE = insert(line)
_INSERT_ANSWER = insert(stock_answer)


class ReservationState(StrEnum):
    """Where an order's stock stands."""

    RESERVED = "RESERVED"
    REFUSED = "REFUSED"
    RELEASED = "RELEASED"
    SHIPPED = "SHIPPED"
    CLOSED = "CLOSED"


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """The stock of one order; `version` counts its events, 0 where there is none."""

    order_id: str
    customer_id: str
    state: ReservationState
    version: int


def find(connection: Connection, order_id: str) -> Reservation | None:
    row = connection.execute(_SELECT, {"of_order": order_id}).one_or_none()
    if row is None:
        return None
    return Reservation(
        order_id=row.order_id,
        customer_id=row.customer_id,
        state=ReservationState(row.state),
        version=row.version,
    )


def quantities_of(connection: Connection, order_id: str) -> dict[str, int]:
    rows = connection.execute(_SELECT_LINES, {"of_order": order_id})
    return {row.sku: row.quantity for row in rows}


def skus_of(connection: Connection, order_ids: Collection[str]) -> set[str]:
    """Return the products that any of these orders has reserved."""
    return set(connection.execute(_SELECT_SKUS, {"order_ids": list(order_ids)}).scalars())


def open_reservation(
    unit: UnitOfWork,
    reservation: Reservation,
    answer: StockReserved | StockRefused,
    quantities: Quantities = _NOTHING,
) -> None:
    """Insert the row of an order just placed, with the answer to it."""
    order_id = reservation.order_id
    insert_reservation(unit.connection, reservation)
    lines = [{"order_id": order_id, "sku": sku, "quantity": n} for sku, n in quantities.items()]
    if lines:
        unit.connection.execute(_INSERT_LINE, lines)
    told = {
        "order_id": order_id,
        "customer_id": reservation.customer_id,
        "refused_sku": answer.sku if isinstance(answer, StockRefused) else None,
        "correlation_id": unit.cause.correlation_id,
    }
    unit.connection.execute(_INSERT_ANSWER, told)
    unit.add(
        answer,
        aggregate_id=order_id,
        version=reservation.version,
        partition_key=reservation.customer_id,
    )


def close_reservation(
    unit: UnitOfWork,
    reservation: Reservation,
    state: ReservationState,
    event: StockReleased | StockShipped,
) -> None:
    """Move a reservation to its last state, with the event that tells of it."""
    version = reservation.version + 1
    closed = {"of_order": reservation.order_id, "state": state, "version": version}
    unit.connection.execute(_UPDATE, closed)
    unit.add(
        event,
        aggregate_id=reservation.order_id,
        version=version,
        partition_key=reservation.customer_id,
    )


def insert_reservation(connection: Connection, reservation: Reservation) -> None:
    connection.execute(_INSERT, msgspec.structs.asdict(reservation))
