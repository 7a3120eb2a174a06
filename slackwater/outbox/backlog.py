"""The backlog of a source: what waits in its table of events and how large that is, for `/metrics`.

It is looked at every few seconds by the leading relay, not whenever somebody asks for metrics, and
at a bounded cost: the index of waiting events is counted up to a limit, and rows are not counted.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Table, false, func, select

from slackwater import metrics
from slackwater.cancellation import end_if_cancelled
from slackwater.clock import Clock
from slackwater.database.port import Database
from slackwater.errors import TransientError
from slackwater.logs import logger
from slackwater.outbox.unpublished import count_unpublished

_COUNTED_MAX = 100_000
_INTERVAL_S = 5.0
_log = logger("relay")


class Backlog(NamedTuple):
    """What waits; `oldest` is when the first of it was recorded. Rows may be fewer than said."""

    waiting: int
    oldest: datetime | None
    rows_at_most: int


def read_backlog(connection: Connection, table: Table) -> Backlog:
    """Look at a table of events."""
    oldest = connection.execute(_select_oldest(table)).scalar_one_or_none()
    first, last = connection.execute(_select_ends(table)).one()
    return Backlog(
        waiting=count_unpublished(connection, table, most=_COUNTED_MAX),
        oldest=datetime.fromisoformat(oldest) if oldest is not None else None,
        rows_at_most=last - first + 1 if last is not None else 0,
    )


async def keep_metering(source: str, table: Table, database: Database, clock: Clock) -> None:
    """Show the backlog of a source as metrics while this runs, without end.

    `database` is no leader's session: what it has to wait for holds up no event.
    """
    try:
        while True:
            try:
                _show(source, await database.read(lambda each: read_backlog(each, table)), clock)
            except TransientError as error:
                _log.warning("the backlog cannot be read", source=source, reason=str(error))
            await asyncio.sleep(_INTERVAL_S)
            end_if_cancelled()
    finally:  # another relay may know better
        for gauge in (metrics.OUTBOX_WAITING, metrics.OUTBOX_ROWS, metrics.OUTBOX_OLDEST):
            gauge.remove(source)


def _show(source: str, backlog: Backlog, clock: Clock) -> None:
    metrics.OUTBOX_WAITING.labels(source).set(backlog.waiting)
    metrics.OUTBOX_ROWS.labels(source).set(backlog.rows_at_most)
    metrics.OUTBOX_OLDEST.labels(source).set_function(lambda: _age_s(backlog.oldest, clock))


def _age_s(oldest: datetime | None, clock: Clock) -> float:
    """Tell the age at the time of asking: it grows by itself, also when nobody looks any more."""
    return max(0.0, (clock.now() - oldest).total_seconds()) if oldest is not None else 0.0


@cache
def _select_oldest(table: Table) -> Select[Any]:
    waiting = select(table.c.recorded_at).where(table.c.published == false())
    return waiting.order_by(table.c.position).limit(1)


@cache
def _select_ends(table: Table) -> Select[Any]:
    # Two look-ups at the ends of the index; both in one aggregate SQLite answers by reading it all.
    first = select(func.min(table.c.position)).scalar_subquery()
    last = select(func.max(table.c.position)).scalar_subquery()
    return select(first, last)
