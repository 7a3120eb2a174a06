"""What is true of orders now, told by their streams, and what must never be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select

from contracts.timestamps import to_text
from slackwater.events.event import Recorded
from slackwater.service.definition import Fact
from write_services.orders import domain, order_book
from write_services.orders.domain import Order
from write_services.orders.order_book import SNAPSHOT_EVERY
from write_services.orders.tables import order_index, streams

_PAGE_SIZE = 200


def facts(connection: Connection) -> Iterator[Fact]:
    """Yield every order; a page of streams at a time is in memory."""
    for history in _histories(connection):
        order = domain.fold(history)
        if order is not None:
            data = msgspec.to_builtins(order.document)
            yield Fact(kind="order", id=order.document.id, version=order.version, data=data)


def invariants(connection: Connection) -> list[str]:
    """Say where streams have gaps, or the index or a snapshot does not follow them."""
    violations: list[str] = []
    count = 0
    for history in _histories(connection):
        count += 1
        violations += _broken_stream(history) or _wrong_row(connection, history)
        if len(history) >= SNAPSHOT_EVERY:
            violations += _wrong_snapshot(connection, history)
    rows = connection.execute(select(func.count()).select_from(order_index)).scalar_one()
    if rows != count:
        violations.append(f"the index has {rows} orders, but there are {count} streams")
    return violations


def _histories(connection: Connection) -> Iterator[list[Recorded[Any]]]:
    last_id = ""
    while order_ids := streams.stream_ids(connection, after=last_id, limit=_PAGE_SIZE):
        histories = streams.load_many(connection, order_ids)
        yield from (histories[order_id] for order_id in order_ids)
        last_id = order_ids[-1]


def _broken_stream(history: list[Recorded[Any]]) -> list[str]:
    versions = [recorded.event.version for recorded in history]
    if versions == list(range(1, len(versions) + 1)):
        return []
    return [f"order {history[0].event.aggregate_id} has the versions {versions}"]


def _wrong_row(connection: Connection, history: list[Recorded[Any]]) -> list[str]:
    order = domain.fold(history)
    row = connection.execute(
        select(order_index).where(order_index.c.order_id == history[0].event.aggregate_id)
    ).one_or_none()
    if order is None or (row is not None and _follows(row, order)):
        return []
    return [f"the index of order {order.document.id} does not follow its events"]


def _wrong_snapshot(connection: Connection, history: list[Recorded[Any]]) -> list[str]:
    order = domain.fold(history)
    order_id = history[0].event.aggregate_id
    if order_book.find(connection, order_id) == order:
        return []
    return [f"the snapshot of order {order_id} does not follow its events; delete it"]


def _follows(row: Row[Any], order: Order) -> bool:
    document = order.document
    return tuple(row) == (
        document.id,
        document.customer_id,
        to_text(document.placed_at),
        document.status,
        order.version,
        to_text(document.processing.deadline),
        document.total.minor,
        document.total.currency,
    )
