"""What is true of customers now, and what must never be."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlalchemy import Connection, func, or_, select

from slackwater.service.definition import Fact
from write_services.customers.accounts import to_customer
from write_services.customers.reservations import ReservationState
from write_services.customers.tables import credit_reservation, customer

_PAGE_SIZE = 500


def facts(connection: Connection) -> Iterator[Fact]:
    """Yield every customer; a page of rows at a time is in memory."""
    last_id = ""
    while rows := connection.execute(
        select(customer).where(customer.c.id > last_id).order_by(customer.c.id).limit(_PAGE_SIZE)
    ).all():
        for row in rows:
            found = to_customer(row)
            data = msgspec.to_builtins(found.state)
            yield Fact(kind="customer", id=found.id, version=found.version, data=data)
        last_id = rows[-1].id


def invariants(connection: Connection) -> list[str]:
    """Say where credit went wrong."""
    return [*_outside_limits(connection), *_unequal_reservations(connection)]


def _outside_limits(connection: Connection) -> list[str]:
    reserved, limit = customer.c.credit_reserved_minor, customer.c.credit_limit_minor
    rows = connection.execute(
        select(customer.c.id, reserved, limit).where(or_(reserved > limit, reserved < 0))
    )
    return [f"customer {id_} has {reserved} reserved of {limit}" for id_, reserved, limit in rows]


def _unequal_reservations(connection: Connection) -> list[str]:
    held = (
        select(func.coalesce(func.sum(credit_reservation.c.amount_minor), 0))
        .where(
            credit_reservation.c.customer_id == customer.c.id,
            credit_reservation.c.state == ReservationState.RESERVED,
        )
        .scalar_subquery()
    )
    rows = connection.execute(
        select(customer.c.id, customer.c.credit_reserved_minor, held).where(
            customer.c.credit_reserved_minor != held
        )
    )
    return [
        f"customer {id_} has {reserved} reserved, but its orders hold {held}"
        for id_, reserved, held in rows
    ]
