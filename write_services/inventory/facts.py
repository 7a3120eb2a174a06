"""What is true of products and reservations now, and what must never be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, exists, func, select

from contracts.events import event_types
from contracts.events.inventory import PRODUCT, ProductAdded, ProductRestocked
from slackwater.outbox.mined import read_mined
from slackwater.outbox.publishing import Publishing
from slackwater.outbox.row import to_event
from slackwater.service.definition import Fact
from write_services.inventory.products import to_product
from write_services.inventory.reservations import ReservationState
from write_services.inventory.tables import (
    product,
    stock_reservation,
    stock_reservation_line,
    tables,
)

_PAGE_SIZE = 500
_WITH_LINES = (ReservationState.RESERVED, ReservationState.RELEASED, ReservationState.SHIPPED)
_TAKEN = (ReservationState.RESERVED, ReservationState.SHIPPED)
_told_version = (
    select(func.max(tables.events.c.version))
    .where(tables.events.c.aggregatetype == PRODUCT, tables.events.c.aggregateid == product.c.sku)
    .scalar_subquery()
)
_SUPPLY = tuple(event_types.of_body(body).name for body in (ProductAdded, ProductRestocked))


def facts(connection: Connection) -> Iterator[Fact]:
    """Yield every product and reservation; a page of rows at a time is in memory."""
    yield from _products(connection)
    yield from _reservations(connection)


def invariants(connection: Connection) -> list[str]:
    """Say where stock went wrong."""
    return [
        *_negative_stocks(connection),
        *_unaccounted_stocks(connection),
        *_wrong_lines(connection),
    ]


def _products(connection: Connection) -> Iterator[Fact]:
    last_sku, way = "", _way(connection)
    while rows := connection.execute(
        select(product).where(product.c.sku > last_sku).order_by(product.c.sku).limit(_PAGE_SIZE)
    ).all():
        told: dict[str, int] = {}
        if way is Publishing.ROW_CHANGES:
            told = _told_versions(connection, rows[0].sku, rows[-1].sku)
        for row in rows:
            found = to_product(row)
            data = msgspec.to_builtins(found.document)
            version = told.get(found.sku, found.version)
            yield Fact(kind="product", id=found.sku, version=version, data=data)
        last_sku = rows[-1].sku


def _way(connection: Connection) -> Publishing | None:
    """Return by which way events are made of the database's log; None where none is."""
    state = read_mined(connection, tables.mined)
    return state.way if state is not None else None


def _told_versions(connection: Connection, first_sku: str, last_sku: str) -> dict[str, int]:
    """Return the newest version of products' events, which a history made anew counts from 1."""
    outbox = tables.events
    rows = connection.execute(
        select(outbox.c.aggregateid, func.max(outbox.c.version))
        .where(outbox.c.aggregatetype == PRODUCT)
        .where(outbox.c.aggregateid.between(first_sku, last_sku))
        .group_by(outbox.c.aggregateid)
    )
    return {sku: int(version) for sku, version in rows}


def _reservations(connection: Connection) -> Iterator[Fact]:
    last_id = ""
    table, line = stock_reservation, stock_reservation_line
    while rows := connection.execute(
        select(table).where(table.c.order_id > last_id).order_by(table.c.order_id).limit(_PAGE_SIZE)
    ).all():
        first_id, last_id = rows[0].order_id, rows[-1].order_id
        lines = connection.execute(
            select(line)
            .where(line.c.order_id.between(first_id, last_id))
            .order_by(line.c.order_id, line.c.sku)
        )
        quantities = {
            order_id: {row.sku: row.quantity for row in group}
            for order_id, group in groupby(lines, key=lambda row: row.order_id)
        }
        yield from (_reservation(row, quantities.get(row.order_id, {})) for row in rows)


def _reservation(row: Row[Any], quantities: dict[str, int]) -> Fact:
    data = {"customer_id": row.customer_id, "state": row.state, "quantities": quantities}
    return Fact(kind="stock_reservation", id=row.order_id, version=row.version, data=data)


def _negative_stocks(connection: Connection) -> list[str]:
    rows = connection.execute(
        select(product.c.sku, product.c.stock_available).where(product.c.stock_available < 0)
    )
    return [f"product {sku} has a stock of {stock}" for sku, stock in rows]


def _unaccounted_stocks(connection: Connection) -> list[str]:
    """Hold stock and what orders took against what came in.

    Only the outbox tells what came in, so a product is judged as long as the event is there that
    added it. Where events are made of the database's log they come a little later than rows, and
    where they are inferred anew they are fewer: there only a product is judged that has them all.
    """
    supplied, taken = _supplied(connection), _taken(connection)
    judged = select(product.c.sku, product.c.stock_available)
    if _way(connection) is not None:
        judged = judged.where(product.c.version == _told_version)
    rows = connection.execute(judged)
    return [
        f"product {sku} has a stock of {stock} and orders took {taken[sku]}, "
        f"but {supplied[sku]} came in"
        for sku, stock in rows
        if sku in supplied and stock + taken[sku] != supplied[sku]
    ]


def _supplied(connection: Connection) -> dict[str, int]:
    outbox = tables.events
    rows = connection.execute(
        select(outbox)
        .where(outbox.c.aggregatetype == PRODUCT, outbox.c.type.in_(_SUPPLY))
        .order_by(outbox.c.aggregateid, outbox.c.version)
    )
    supplied: dict[str, int] = {}
    for row in rows:
        body = event_types.decode(to_event(row, "inventory")).body
        if isinstance(body, ProductAdded):
            supplied[row.aggregateid] = body.stock_available
        elif row.aggregateid in supplied:
            supplied[row.aggregateid] += body.quantity
    return supplied


def _taken(connection: Connection) -> Counter[str]:
    line = stock_reservation_line
    rows = connection.execute(
        select(line.c.sku, func.sum(line.c.quantity))
        .join(stock_reservation, stock_reservation.c.order_id == line.c.order_id)
        .where(stock_reservation.c.state.in_(_TAKEN))
        .group_by(line.c.sku)
    )
    return Counter({sku: int(quantity) for sku, quantity in rows})


def _wrong_lines(connection: Connection) -> list[str]:
    has_lines = exists().where(stock_reservation_line.c.order_id == stock_reservation.c.order_id)
    should_have = stock_reservation.c.state.in_(_WITH_LINES)
    rows = connection.execute(
        select(stock_reservation.c.order_id, stock_reservation.c.state).where(
            (should_have & ~has_lines) | (~should_have & has_lines)
        )
    )
    return [f"the reservation of order {id_} is {state} with wrong lines" for id_, state in rows]
