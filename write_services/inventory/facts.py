"""What is true of products now, and what must never be."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlalchemy import Connection, exists, select

from slackwater.service.definition import Fact
from write_services.inventory.products import to_product
from write_services.inventory.reservations import ReservationState
from write_services.inventory.tables import product, stock_reservation, stock_reservation_line

_PAGE_SIZE = 500
_WITH_LINES = (ReservationState.RESERVED, ReservationState.RELEASED, ReservationState.SHIPPED)


def facts(connection: Connection) -> Iterator[Fact]:
    """Yield every product; a page of rows at a time is in memory."""
    last_sku = ""
    while rows := connection.execute(
        select(product).where(product.c.sku > last_sku).order_by(product.c.sku).limit(_PAGE_SIZE)
    ).all():
        for row in rows:
            found = to_product(row)
            data = msgspec.to_builtins(found.document)
            yield Fact(kind="product", id=found.sku, version=found.version, data=data)
        last_sku = rows[-1].sku


def invariants(connection: Connection) -> list[str]:
    """Say where stock went wrong."""
    return [*_negative_stocks(connection), *_wrong_lines(connection)]


def _negative_stocks(connection: Connection) -> list[str]:
    rows = connection.execute(
        select(product.c.sku, product.c.stock_available).where(product.c.stock_available < 0)
    )
    return [f"product {sku} has a stock of {stock}" for sku, stock in rows]


def _wrong_lines(connection: Connection) -> list[str]:
    has_lines = exists().where(stock_reservation_line.c.order_id == stock_reservation.c.order_id)
    should_have = stock_reservation.c.state.in_(_WITH_LINES)
    rows = connection.execute(
        select(stock_reservation.c.order_id, stock_reservation.c.state).where(
            (should_have & ~has_lines) | (~should_have & has_lines)
        )
    )
    return [f"the reservation of order {id_} is {state} with wrong lines" for id_, state in rows]
