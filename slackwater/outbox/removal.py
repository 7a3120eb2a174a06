"""Published events that are old enough leave their table; how many did is never forgotten.

    look for old published rows ──► remove them, count them, and hold the epoch (one transaction)

The count says whether the table still has the whole history. Only then may it be published again
from there, in another timeline: else that would lack events and nobody would know.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from itertools import takewhile
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Delete,
    Select,
    Table,
    bindparam,
    delete,
    false,
    insert,
    select,
    update,
)

from slackwater.errors import StructuralError


class HistoryRemovedError(StructuralError):
    """Source and log have parted, and what was removed of the history is not in the log either."""

    code = "HISTORY_REMOVED"

    def __init__(self, source: str, missing: int, reason: str) -> None:
        self.source = source
        self.missing = missing
        super().__init__(
            f"the histories of {source} and of the log have parted ({reason}), and its table lacks "
            f"{missing} events that were removed: nothing is published or claimed until the log is "
            "put back, or those rows are (docs/how-to/bound-the-outbox.md)"
        )


def removable(
    connection: Connection, table: Table, *, after: int, before: datetime, limit: int
) -> list[int]:
    """Return the positions of published rows behind `after`, up to one from before a moment.

    Of the next `limit` rows none is left out that precedes another, so an aggregate's go oldest
    first. A row that bears a later time than one behind it, from a clock that was ahead, is as old.
    """
    rows = connection.execute(_select_next(table), {"after": after, "most": limit})
    published = list(takewhile(lambda row: row.published, rows.all()))
    while published and not _is_older(published[-1].recorded_at, before):
        published.pop()
    return [row.position for row in published]


def remove(connection: Connection, table: Table, removed: Table, positions: Sequence[int]) -> int:
    """Remove those of the rows that are published, and return how many those were.

    Of an aggregate none is removed before an earlier one, which may have become visible later: what
    is taken back from the log comes before all that has stayed.

    Hold the epoch in the same transaction: then no successor reads the count before it is true.
    """
    free = _without_earlier_ones(connection, table, positions)
    count = connection.execute(_delete(table), {"positions": free}).rowcount
    _set(connection, removed, count_removed(connection, removed) + count)
    return count


def _without_earlier_ones(
    connection: Connection, table: Table, positions: Sequence[int]
) -> list[int]:
    """Return those that their aggregate has before any that stays; one that waits stays itself.

    An aggregate is looked up once and not for each of its events: as long as an old snapshot is
    open, PostgreSQL goes through all of it that was removed.
    """
    asked = {"positions": list(positions)}
    kept = {
        (row.aggregatetype, row.aggregateid): row.version
        for row in connection.execute(_select_first_kept(table), asked)
    }
    return [
        row.position
        for row in connection.execute(_select_places(table), asked)
        if (first := kept[row.aggregatetype, row.aggregateid]) is None or row.version < first
    ]


def count_removed(connection: Connection, removed: Table) -> int:
    """Return how many events of the history are no longer in the table."""
    return connection.execute(select(removed.c.events)).scalar_one_or_none() or 0


def forget_removed(connection: Connection, removed: Table) -> None:
    """Say that the table has the whole history again."""
    _set(connection, removed, 0)


def count_put_back(connection: Connection, removed: Table, events: int) -> None:
    """Say that the table has so many of the removed events again."""
    _set(connection, removed, count_removed(connection, removed) - events)


def _set(connection: Connection, removed: Table, count: int) -> None:
    if not connection.execute(update(removed).values(events=count)).rowcount:
        connection.execute(insert(removed).values(id=1, events=count))


def _is_older(recorded_at: str, before: datetime) -> bool:
    return datetime.fromisoformat(recorded_at) < before


@cache
def _select_next(table: Table) -> Select[Any]:
    columns = table.c.position, table.c.published, table.c.recorded_at
    behind = select(*columns).where(table.c.position > bindparam("after"))
    return behind.order_by(table.c.position).limit(bindparam("most"))


@cache
def _select_first_kept(table: Table) -> Select[Any]:
    positions = _positions()
    aggregate = table.c.aggregatetype, table.c.aggregateid
    asked = select(*aggregate).where(table.c.position.in_(positions)).distinct().subquery("asked")
    kept = table.alias("kept")
    first = (
        select(kept.c.version)
        .where(
            kept.c.aggregatetype == asked.c.aggregatetype,
            kept.c.aggregateid == asked.c.aggregateid,
            kept.c.position.not_in(positions) | (kept.c.published == false()),
        )
        .order_by(kept.c.version)
        .limit(1)
    )
    return select(asked, first.scalar_subquery().label("version"))


@cache
def _select_places(table: Table) -> Select[Any]:
    columns = table.c.position, table.c.aggregatetype, table.c.aggregateid, table.c.version
    return select(*columns).where(table.c.position.in_(_positions()))


@cache
def _delete(table: Table) -> Delete:
    return delete(table).where(table.c.position.in_(_positions()))


def _positions() -> BindParameter[Any]:
    return bindparam("positions", expanding=True)
