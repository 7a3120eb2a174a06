"""The unpublished rows of a table of events: found by their mark, never by a position.

"Everything behind the last position" would skip for ever a row whose position was taken earlier but
which became visible later; a mark cannot.

Positions order the events of one aggregate all the same, on every database: whoever adds version
v + 1 has seen version v committed, or added it in the same transaction, and takes its position from
the counter only then. (A sequence whose `CACHE` was raised would break that; ours keep to 1.)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Update,
    bindparam,
    false,
    func,
    literal,
    select,
    true,
    update,
)

from slackwater.database.numbers import is_among
from slackwater.event_log.port import NewRecord
from slackwater.events.cloudevents import to_headers
from slackwater.events.event import Event
from slackwater.outbox.row import to_event
from slackwater.outbox.tables import is_numbered, unnumbered

_REPUBLISHED_MAX = 50_000


class Unpublished(NamedTuple):
    """One row that waits for publishing."""

    position: int
    record: NewRecord


def read_unpublished(
    connection: Connection, table: Table, source: str, *, limit: int
) -> list[Unpublished]:
    """Return the oldest unpublished events; those of one aggregate are in version order."""
    rows = connection.execute(_select_oldest(table), {"most": limit})
    return [Unpublished(row.position, to_record(to_event(row, source))) for row in rows]


def last_unpublished(connection: Connection, table: Table) -> int:
    """Return the greatest position of the events that wait, of which there must be one."""
    last: int = connection.execute(_select_last(table)).scalar_one()
    return last


def count_unpublished(connection: Connection, table: Table, *, most: int) -> int:
    """Count the events that wait for publishing, up to a limit."""
    return connection.execute(counting(table), {"most": most}).scalar_one()


@cache
def counting(table: Table) -> Select[int]:
    """Return what counts the events that wait, `most` of them at most, as `waiting`."""
    waiting = select(literal(1)).select_from(table).where(table.c.published == false())
    some = waiting.limit(bindparam("most")).subquery()
    return select(func.count().label("waiting")).select_from(some)


def mark_published(connection: Connection, table: Table, positions: Sequence[int]) -> None:
    """Remember that the log has acknowledged these events.

    A numbered table counts on: each of them has the next number, by position among themselves, and
    one that is published again keeps the number that it had. Call this while nobody else marks, and
    commit before the next call: then numbers become visible in their order.
    """
    connection.execute(_mark(table), {"positions": list(positions)})


def number_published(connection: Connection, table: Table, *, limit: int) -> int:
    """Number the oldest events that are published and have no number; return how many."""
    return connection.execute(_number_oldest(table), {"most": limit}).rowcount


def marked_among(connection: Connection, table: Table, positions: Sequence[int]) -> set[int]:
    """Return those of the positions whose events are marked as published."""
    return set(connection.execute(_select_marked(table), {"positions": list(positions)}).scalars())


def mark_all_unpublished(connection: Connection, table: Table) -> None:
    """Have every event published again; statement by statement, so that none takes too long.

    Numbers stay: they order what the source has, whatever has become of the log.
    """
    ends = select(func.min(table.c.position), func.max(table.c.position))
    first, last = connection.execute(ends).one()
    if last is None:
        return
    for start in range(first, last + 1, _REPUBLISHED_MAX):
        connection.execute(
            update(table)
            .where(table.c.published == true())
            .where(table.c.position.between(start, start + _REPUBLISHED_MAX - 1))
            .values(published=False)
        )


def to_record(event: Event) -> NewRecord:
    """Return what the log keeps of an event, under its partition key."""
    return NewRecord(
        topic=event.topic, key=event.partition_key, value=event.data, headers=to_headers(event)
    )


# Built once: several are executed at every heartbeat, and building one costs more than that.


@cache
def _select_oldest(table: Table) -> Select[Any]:
    waiting = select(table).where(table.c.published == false())
    return waiting.order_by(table.c.position).limit(bindparam("most"))


@cache
def _mark(table: Table) -> Update:
    marked = is_among(table.c.position, "positions")
    if not is_numbered(table):
        return update(table).where(marked).values(published=true())
    return _number(table, marked)


@cache
def _number_oldest(table: Table) -> Update:
    without = select(table.c.position).where(unnumbered(table)).correlate(None)
    oldest = without.order_by(table.c.position).limit(bindparam("most"))
    return _number(table, table.c.position.in_(oldest))


def _number(table: Table, chosen: ColumnElement[bool]) -> Update:
    ranked = _ranked(table).where(chosen).subquery("ranked")
    numbered = update(table).where(table.c.position == ranked.c.position)
    return numbered.values(published=true(), number=ranked.c.number)


def _ranked(table: Table) -> Select[Any]:
    """Select events with the numbers that they have or get."""
    newest = select(func.coalesce(func.max(table.c.number), 0)).scalar_subquery()
    new_ones = func.count().filter(table.c.number.is_(None)).over(order_by=table.c.position)
    number = func.coalesce(table.c.number, newest + new_ones)
    return select(table.c.position, number.label("number"))


@cache
def _select_marked(table: Table) -> Select[int]:
    asked = is_among(table.c.position, "positions")
    return select(table.c.position).where(asked, table.c.published == true())


@cache
def _select_last(table: Table) -> Select[Any]:
    return select(func.max(table.c.position)).where(table.c.published == false())
