"""The audit log of a service: who has done what, when and why, read from its table of events.

Nothing is written for it: every event carries its actor, its time, the request or event that
caused it, and the correlation that leads back to the client. So it is complete as soon as it is
committed, for services of either kind.

A page is one snapshot. It goes by position, and a transaction that was open while a page was read
may commit events with smaller positions later: read a period again once its transactions have
ended, where nothing may be missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Table, func, select

from slackwater.outbox.row import to_event
from slackwater.outbox.tables import KernelTables

_WINDOW = 50_000
"""How many positions one statement looks through: each ends long before its timeout."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are asked for; what is None does not matter."""

    aggregate_id: str | None = None
    actor: str | None = None
    correlation_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event as an auditor reads it; `position` is its place in the log."""

    position: int
    recorded_at: datetime
    actor: str | None
    type: str
    schema_version: int
    aggregate_type: str
    aggregate_id: str
    version: int
    event_id: str
    causation_id: str | None
    correlation_id: str
    data: msgspec.Raw


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """An event that has caused another."""

    source: str
    type: str
    aggregate_type: str
    aggregate_id: str
    version: int


def read_entries(
    connection: Connection,
    tables: KernelTables,
    wanted: Wanted,
    *,
    aggregate_types: Collection[str],
    after: int | None = None,
    limit: int,
) -> list[Entry]:
    """Return the next entries behind a position, oldest first; None: from the first one on.

    `aggregate_types` are the service's own: one aggregate is looked up, anything else searched for.
    Positions of events that were taken back from the log are 0 and less.
    """
    table = tables.events
    first, newest = _span(connection, table)
    after = first - 1 if after is None else max(after, first - 1)
    conditions = list(_conditions(table, wanted, connection.dialect.name))
    if wanted.aggregate_id is not None:
        conditions += [
            table.c.aggregatetype.in_(aggregate_types),
            table.c.aggregateid == wanted.aggregate_id,
        ]
        return _read(connection, table, [table.c.position > after, *conditions], limit)
    entries: list[Entry] = []
    while after < newest and len(entries) < limit:
        window = table.c.position.between(after + 1, after + _WINDOW)
        entries += _read(connection, table, [window, *conditions], limit - len(entries))
        after += _WINDOW
    return entries


def find_known(
    connection: Connection, tables: KernelTables, source: str, event_ids: Collection[str]
) -> dict[str, Known]:
    """Return those events of a service that are among the ids."""
    table = tables.events
    rows = connection.execute(select(table).where(table.c.id.in_(event_ids)))
    return {
        row.id: Known(
            source=source,
            type=row.type,
            aggregate_type=row.aggregatetype,
            aggregate_id=row.aggregateid,
            version=row.version,
        )
        for row in rows
    }


def _span(connection: Connection, table: Table) -> tuple[int, int]:
    """Return the smallest and the greatest position."""
    # Two look-ups at the ends of the index; both in one aggregate SQLite answers by reading it all.
    first = select(func.min(table.c.position)).scalar_subquery()
    newest = select(func.max(table.c.position)).scalar_subquery()
    row = connection.execute(select(func.coalesce(first, 1), func.coalesce(newest, 0))).one()
    return row[0], row[1]


def _conditions(table: Table, wanted: Wanted, dialect: str) -> Iterator[ColumnElement[bool]]:
    if wanted.actor is not None:
        yield table.c.actor == wanted.actor
    if wanted.correlation_id is not None:
        yield table.c.correlationid == wanted.correlation_id
    if wanted.since is not None:
        yield _moment(table, dialect) >= _to_text(wanted.since)
    if wanted.until is not None:
        yield _moment(table, dialect) < _to_text(wanted.until)


def _moment(table: Table, dialect: str) -> ColumnElement[str]:
    """Return the time of an event, to be compared by its bytes: so UTC's texts are in order."""
    recorded_at: ColumnElement[str] = table.c.recorded_at
    return recorded_at.collate("C") if dialect == "postgresql" else recorded_at


def _to_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _read(
    connection: Connection, table: Table, conditions: Collection[ColumnElement[bool]], limit: int
) -> list[Entry]:
    asked = select(table).where(*conditions).order_by(table.c.position).limit(limit)
    return [_entry(row) for row in connection.execute(asked)]


def _entry(row: Row[Any]) -> Entry:
    event = to_event(row, "")
    return Entry(
        position=row.position,
        recorded_at=event.time,
        actor=event.cause.actor,
        type=event.type,
        schema_version=event.schema_version,
        aggregate_type=event.aggregate_type,
        aggregate_id=event.aggregate_id,
        version=event.version,
        event_id=event.id,
        causation_id=event.cause.causation_id,
        correlation_id=event.cause.correlation_id,
        data=msgspec.Raw(event.data),
    )
