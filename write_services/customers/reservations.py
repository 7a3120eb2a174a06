"""What customers remembers of each order: one row, whatever came of it.

(nothing) ── placed ──► RESERVED ── rejected, cancelled or shipped ──► RELEASED
│   └─── placed ──► REFUSED
└─ rejected, cancelled or shipped ──► CLOSED: a late OrderPlaced reserves nothing
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update

from write_services.customers.tables import credit_reservation as table

_SELECT = select(table).where(table.c.order_id == bindparam("of_order"))
_INSERT = insert(table)
_UPDATE = update(table).where(table.c.order_id == bindparam("of_order"))


class ReservationState(StrEnum):
    """Where an order's credit stands."""

    RESERVED = "RESERVED"
    REFUSED = "REFUSED"
    RELEASED = "RELEASED"
    CLOSED = "CLOSED"


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """The credit of one order, in its customer's currency."""

    order_id: str
    customer_id: str
    amount_minor: int
    state: ReservationState


def find(connection: Connection, order_id: str) -> Reservation | None:
    row = connection.execute(_SELECT, {"of_order": order_id}).one_or_none()
    if row is None:
        return None
    return Reservation(
        order_id=row.order_id,
        customer_id=row.customer_id,
        amount_minor=row.amount_minor,
        state=ReservationState(row.state),
    )


def insert_reservation(connection: Connection, reservation: Reservation) -> None:
    connection.execute(_INSERT, msgspec.structs.asdict(reservation))


def mark_released(connection: Connection, order_id: str) -> None:
    connection.execute(_UPDATE, {"of_order": order_id, "state": ReservationState.RELEASED})
