"""Takes back from the log what was removed of a source's history, before that is published again.

    records of our timeline, up to what we had acknowledged ──► those that our table lacks, gathered
                                                                    │ as many as were removed?
                                                  before all others in the table (one transaction)

What lies in the log before the offsets that the source itself says are acknowledged was appended by
its relays from its own rows, and everything that was removed had been acknowledged before. So the
events of the source's timeline that lie there and are not in the table are those that were removed,
and if their number is that of the removed ones, they are all of them. Otherwise the log was lost,
put back or trimmed, and nothing is taken from it.

Dying in between leaves what was gathered, which the next attempt throws away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, literal, select
from sqlalchemy.exc import IntegrityError

from slackwater.database.port import Session
from slackwater.errors import PoisonousEventError, StructuralError
from slackwater.event_log.port import EventLog, Record, TopicPartition
from slackwater.event_log.reading import read_between
from slackwater.events.cloudevents import TIMELINE_HEADER, from_headers
from slackwater.events.event import Event
from slackwater.logs import logger
from slackwater.outbox.mined import allow_rows
from slackwater.outbox.removal import count_removed, forget_removed
from slackwater.outbox.row import to_row
from slackwater.outbox.tables import KernelTables, Removal
from slackwater.outbox.ticks import hold_epoch
from slackwater.watermarks.tick import Tick

_AT_ONCE_MAX = 50_000
_SET_HERE = {"position", "published"}
_log = logger("relay")


class UnfitLogError(StructuralError):
    """The log does not hold, for certain, what was removed of a history; put it back."""


class Refill:
    """Puts the removed events of one source back into its table, in the epoch of `held`."""

    def __init__(
        self,
        source: str,
        *,
        topics: Sequence[str],
        tables: KernelTables,
        removal: Removal,
        session: Session,
        log: EventLog,
        held: Tick,
    ) -> None:
        self._source = source
        self._topics = topics
        self._tables = tables
        self._events = tables.events
        self._gathered = removal.refill
        self._removed = removal.removed
        self._session = session
        self._event_log = log
        self._held = held

    async def run(self, acknowledged: Mapping[TopicPartition, int]) -> None:
        """Put them back, from before the offsets that the source has had acknowledged.

        Raises:
            FencedError: another relay has taken the lead.
            UnfitLogError: the log does not have all of them for certain.
            TransientError: the log does not give what it has.
        """
        _log.warning("removed events are taken back from the log", source=self._source)
        await self._transact(self._throw_away)
        ends = await self._event_log.end_offsets(self._topics)
        bounds = {at: min(offset, ends.get(at, 0)) for at, offset in acknowledged.items()}
        async for records in read_between(self._event_log, {}, bounds):
            events = self._read(records)
            await self._transact(
                lambda connection, events=events: self._gather(connection, events)  # type: ignore[misc]
            )
        await self._transact(self._put_back)

    async def _transact(self, work: Callable[[Connection], None]) -> None:
        def fenced(connection: Connection) -> None:
            hold_epoch(connection, self._tables.tick, self._held.epoch)
            allow_rows(connection)
            try:
                work(connection)
            except IntegrityError as error:
                raise UnfitLogError("the log has other events than were removed") from error

        await self._session.transact(fenced)

    def _read(self, records: Sequence[Record]) -> dict[str, Event]:
        """Return the events of our timeline by their ids, in the order of each aggregate."""
        events: dict[str, Event] = {}
        for record in records:
            if record.headers.get(TIMELINE_HEADER, "") == self._held.timeline:
                try:
                    event = from_headers(record.topic, record.headers, record.value)
                except PoisonousEventError as error:
                    raise UnfitLogError(f"the log cannot be read: {error}") from error
                events.setdefault(event.id, event)
        return events

    def _throw_away(self, connection: Connection) -> None:
        for positions in _ranges(connection, self._gathered):
            connection.execute(delete(self._gathered).where(positions))

    def _gather(self, connection: Connection, events: Mapping[str, Event]) -> None:
        known = {
            *_known(connection, self._events, events),
            *_known(connection, self._gathered, events),
        }
        if rows := [to_row(event) for event in events.values() if event.id not in known]:
            connection.execute(insert(self._gathered), rows)

    def _put_back(self, connection: Connection) -> None:
        """Move what was gathered before all others, in its order."""
        missing = count_removed(connection, self._removed)
        count, last = connection.execute(
            select(func.count(), func.max(self._gathered.c.position))
        ).one()
        if count != missing:
            raise UnfitLogError(f"the log has {count} events that the table lacks")
        first = connection.execute(select(func.min(self._events.c.position))).scalar_one()
        shift = min(first or 1, 1) - 1 - (last or 0)
        for positions in _ranges(connection, self._gathered):
            self._move(connection, positions, shift=shift)
            connection.execute(delete(self._gathered).where(positions))
        forget_removed(connection, self._removed)
        _log.warning("removed events were taken back", source=self._source, events=missing)

    def _move(self, connection: Connection, positions: ColumnElement[bool], *, shift: int) -> None:
        names = [column.name for column in self._events.c if column.name not in _SET_HERE]
        moved = select(
            self._gathered.c.position + shift,
            literal(True),
            *(self._gathered.c[name] for name in names),
        ).where(positions)
        connection.execute(insert(self._events).from_select([*sorted(_SET_HERE), *names], moved))


def _ranges(connection: Connection, table: Table) -> Iterator[ColumnElement[bool]]:
    """Yield conditions for a bounded part of the rows each, so that no statement takes too long."""
    ends = select(func.min(table.c.position), func.max(table.c.position))
    first, last = connection.execute(ends).one()
    for start in range(first or 0, (last or 0) + 1, _AT_ONCE_MAX):
        yield table.c.position.between(start, start + _AT_ONCE_MAX - 1)


def _known(connection: Connection, table: Table, ids: Mapping[str, Event]) -> set[str]:
    return set(connection.execute(select(table.c.id).where(table.c.id.in_([*ids]))).scalars())
