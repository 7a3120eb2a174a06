"""The tick of a source: a counter in its database that its leading relay raises.

Whoever takes a new epoch fences off every relay before: a tick is raised only in one's own epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Select, Table, Update, bindparam, insert, select, update

from slackwater.database.history import ServerHistory, read_history
from slackwater.errors import FencedError
from slackwater.event_log.port import TopicPartition
from slackwater.watermarks.tick import Tick, new_timeline

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[tuple[str, int, int]])


def current_tick(connection: Connection, table: Table) -> Tick:
    """Return the tick as this snapshot shows it; (0, 0) before any relay has started."""
    row = connection.execute(_select_tick(table)).one_or_none()
    return Tick(*row) if row is not None else Tick(0, 0)


class TickInHistory(NamedTuple):
    """A tick, and the history of the server that has told it."""

    tick: Tick
    history: str


def current_tick_in_history(connection: Connection, table: Table) -> TickInHistory:
    """Return the tick, (0, 0) before there is one; both are read in one statement."""
    row = connection.execute(_select_tick_in_history(table)).one_or_none()
    if row is None:
        return TickInHistory(Tick(0, 0), read_history(connection))
    epoch, n, timeline, history = row
    return TickInHistory(Tick(epoch, n, timeline), history)


def begin_ticks(connection: Connection, table: Table) -> None:
    """Begin the first timeline of a source that has none; its ticks count from (0, 0)."""
    if connection.execute(select(table.c.id)).one_or_none() is None:
        first = {"id": 1, "epoch": 0, "n": 0, "timeline": new_timeline()}
        connection.execute(insert(table).values(first | {"acknowledged": _encoder.encode([])}))


def take_epoch(connection: Connection, table: Table) -> Tick:
    """Begin a new epoch and return its tick; every older relay's next tick fails from here on."""
    begin_ticks(connection, table)
    connection.execute(update(table).values(epoch=table.c.epoch + 1))
    return current_tick(connection, table)


def begin_timeline(connection: Connection, table: Table, held: Tick, *, beyond: Tick) -> Tick:
    """Begin a new timeline in the epoch of `held`, and return its tick, later than `beyond`.

    Raises:
        FencedError: another relay has taken a newer epoch.
    """
    later = Tick(max(held.epoch, beyond.epoch + 1), max(held.n, beyond.n), new_timeline())
    begun = connection.execute(
        update(table)
        .where(table.c.epoch == held.epoch)
        .values(later._asdict() | {"acknowledged": _encoder.encode([])})
    ).rowcount
    if not begun:
        raise _fenced(held.epoch)
    return later


def read_acknowledged(connection: Connection, table: Table) -> dict[TopicPartition, int]:
    """Return next offsets that the log had acknowledged when a mark or tick was committed.

    Whatever lies before them was committed before that, too, so no backup that goes by the order
    of commits has the one without the other.
    """
    kept = connection.execute(select(table.c.acknowledged)).scalar_one_or_none()
    listed = _decoder.decode(kept) if kept is not None else []
    return {TopicPartition(topic, partition): offset for topic, partition, offset in listed}


def keep_acknowledged(
    connection: Connection, table: Table, offsets: Mapping[TopicPartition, int]
) -> None:
    """Remember it with the marks: a log that ends before was lost or restored."""
    connection.execute(_keep_acknowledged(table), {"listed": _listed(offsets)})


def raise_tick(
    connection: Connection, table: Table, epoch: int, acknowledged: Mapping[TopicPartition, int]
) -> Tick:
    """Count the tick up by one, and remember with it how far the log has acknowledged all.

    Raises:
        FencedError: another relay has taken a newer epoch.
    """
    given = {"held": epoch, "listed": _listed(acknowledged)}
    raised = connection.execute(_raise_tick(table), given).one_or_none()
    if raised is None:
        raise _fenced(epoch)
    return Tick(*raised)


def require_epoch(connection: Connection, table: Table, epoch: int) -> None:
    """Check that nobody else has taken over, as this snapshot shows it.

    Raises:
        FencedError: another relay has taken a newer epoch.
    """
    if current_tick(connection, table).epoch != epoch:
        raise _fenced(epoch)


def hold_epoch(connection: Connection, table: Table, epoch: int) -> None:
    """Check that nobody else has taken over, and let nobody do so before the commit.

    Without the lock, marks could be committed after a successor had begun, by a transaction whose
    snapshot is older. Locking a row that has changed since the snapshot fails, so what is read with
    the lock is what there is.

    Raises:
        FencedError: another relay has taken a newer epoch.
    """
    if connection.execute(_lock(table)).scalar_one_or_none() != epoch:
        raise _fenced(epoch)


# Built once: several are executed at every heartbeat, and building one costs more than that.


@cache
def _select_tick(table: Table) -> Select[int, int, str]:
    return select(table.c.epoch, table.c.n, table.c.timeline)


@cache
def _select_tick_in_history(table: Table) -> Select[int, int, str, str]:
    return select(table.c.epoch, table.c.n, table.c.timeline, ServerHistory())


@cache
def _raise_tick(table: Table) -> Update:
    return (
        update(table)
        .where(table.c.epoch == bindparam("held"))
        .values(n=table.c.n + 1, acknowledged=bindparam("listed"))
        .returning(table.c.epoch, table.c.n, table.c.timeline)
    )


@cache
def _keep_acknowledged(table: Table) -> Update:
    return update(table).values(acknowledged=bindparam("listed"))


@cache
def _lock(table: Table) -> Select[int]:
    return select(table.c.epoch).with_for_update(read=True)


def _listed(offsets: Mapping[TopicPartition, int]) -> bytes:
    return _encoder.encode([(*at, offset) for at, offset in offsets.items()])


def _fenced(epoch: int) -> FencedError:
    return FencedError(f"another relay leads since epoch {epoch}; this one stops")
