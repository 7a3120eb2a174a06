"""What is true of customers and their credit now, and what must never be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, exists, func, or_, select

from slackwater.service.definition import Fact
from write_services.customers.accounts import to_customer
from write_services.customers.reservations import ReservationState
from write_services.customers.tables import credit_reservation, customer

_PAGE_SIZE = 500


def facts(connection: Connection) -> Iterator[Fact]:
    """Yield every customer and reservation; a page of rows at a time is in memory."""
    yield from _customers(connection)
    yield from _reservations(connection)


def invariants(connection: Connection) -> list[str]:
    """Say where credit went wrong."""
    return [
        *_outside_limits(connection),
        *_unequal_reservations(connection),
        *_reserved_for_nobody(connection),
    ]


def _customers(connection: Connection) -> Iterator[Fact]:
    last_id = ""
    while rows := connection.execute(
        select(customer).where(customer.c.id > last_id).order_by(customer.c.id).limit(_PAGE_SIZE)
    ).all():
        for row in rows:
            found = to_customer(row)
            data = msgspec.to_builtins(found.state)
            yield Fact(kind="customer", id=found.id, version=found.version, data=data)
        last_id = rows[-1].id


def _reservations(connection: Connection) -> Iterator[Fact]:
    last_id = ""
    table = credit_reservation
    while rows := connection.execute(
        select(table).where(table.c.order_id > last_id).order_by(table.c.order_id).limit(_PAGE_SIZE)
    ).all():
        yield from map(_reservation, rows)
        last_id = rows[-1].order_id


def _reservation(row: Row[Any]) -> Fact:
    """Credit is told of by its customer's events, so a reservation has no version of its own."""
    data = {
        "customer_id": row.customer_id,
        "state": row.state,
        "amount_minor": row.amount_minor,
    }
    return Fact(kind="credit_reservation", id=row.order_id, version=0, data=data)


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


def _reserved_for_nobody(connection: Connection) -> list[str]:
    has_customer = exists().where(customer.c.id == credit_reservation.c.customer_id)
    rows = connection.execute(
        select(credit_reservation.c.order_id, credit_reservation.c.customer_id).where(
            credit_reservation.c.state == ReservationState.RESERVED, ~has_customer
        )
    )
    return [
        f"order {order_id} holds credit of customer {customer_id}, who does not exist"
        for order_id, customer_id in rows
    ]
