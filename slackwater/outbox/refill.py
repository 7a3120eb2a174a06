"""Takes back from the log what was removed of a source's history, before that is published again.

    records of our timeline, up to what we had acknowledged ──► those that our table lacks, gathered
                                                                    │ as many as were removed?
                           before all others in the table, the last ones first, piece by piece ◄┘

What lies in the log before the offsets that the source itself says are acknowledged was appended by
its relays from its own rows, and everything that was removed had been acknowledged before. So the
events of the source's timeline that lie there and are not in the table are those that were removed,
and if their number is that of the removed ones, they are all of them. Otherwise the log was lost,
put back or trimmed, and nothing is taken from it.

Each piece is a transaction with what it takes off the count of removed events, so that writers come
in between. Dying in between leaves the table without its first events, as removing does, and what
was gathered, which the next attempt throws away to look for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    delete,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.exc import IntegrityError

from slackwater.database.port import Session
from slackwater.errors import PoisonousEventError, StructuralError
from slackwater.event_log.port import EventLog, Record, TopicPartition
from slackwater.event_log.reading import read_between
from slackwater.events.cloudevents import TIMELINE_HEADER, from_headers
from slackwater.events.event import Event
from slackwater.logs import logger
from slackwater.outbox.mined import allow_rows
from slackwater.outbox.removal import count_put_back, count_removed
from slackwater.outbox.row import to_row
from slackwater.outbox.tables import KernelTables, Removal
from slackwater.outbox.ticks import hold_epoch
from slackwater.watermarks.tick import Tick

_AT_ONCE_MAX = 5_000
_SET_HERE = {"position", "published"}
_PLACE = "aggregatetype", "aggregateid", "version"
_OTHER_EVENTS = "the log has other events than were removed"
_log = logger("relay")

T = TypeVar("T")


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
        await self._piece_by_piece(self._throw_away_some)
        ends = await self._event_log.end_offsets(self._topics)
        bounds = {at: min(offset, ends.get(at, 0)) for at, offset in acknowledged.items()}
        async for records in read_between(self._event_log, {}, bounds):
            events = self._read(records)
            await self._transact(
                lambda connection, events=events: self._gather(connection, events)  # type: ignore[misc]
            )
        missing = await self._session.read(self._check)
        await self._piece_by_piece(self._put_back_some)
        _log.warning("removed events were taken back", source=self._source, events=missing)

    async def _piece_by_piece(self, work: Callable[[Connection], int]) -> None:
        """Do it in a transaction each until there is nothing more to be done."""
        while await self._transact(work):
            pass

    async def _transact(self, work: Callable[[Connection], T]) -> T:
        def fenced(connection: Connection) -> T:
            hold_epoch(connection, self._tables.tick, self._held.epoch)
            allow_rows(connection)
            try:
                return work(connection)
            except IntegrityError as error:
                raise UnfitLogError(_OTHER_EVENTS) from error

        return await self._session.transact(fenced)

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

    def _throw_away_some(self, connection: Connection) -> int:
        last = self._last_gathered(connection)
        return connection.execute(delete(self._gathered).where(self._piece_to(last))).rowcount

    def _gather(self, connection: Connection, events: Mapping[str, Event]) -> None:
        known = {
            *_known(connection, self._events, events),
            *_known(connection, self._gathered, events),
        }
        if rows := [to_row(event) for event in events.values() if event.id not in known]:
            connection.execute(insert(self._gathered), rows)

    def _check(self, connection: Connection) -> int:
        """Return how many events were gathered if that are the removed ones."""
        count = connection.execute(select(func.count()).select_from(self._gathered)).scalar_one()
        if count != count_removed(connection, self._removed):
            raise UnfitLogError(f"the log has {count} events that the table lacks")
        if connection.execute(self._select_taken()).first() is not None:
            raise UnfitLogError(_OTHER_EVENTS)
        return count

    def _select_taken(self) -> Select[Any]:
        """Select a gathered event whose place in its stream another one has."""
        gathered, events = self._gathered, self._events
        same_place = and_(*(gathered.c[name] == events.c[name] for name in _PLACE))
        return select(gathered.c.id).join(events, same_place).limit(1)

    def _put_back_some(self, connection: Connection) -> int:
        """Move the last of what was gathered before all others, in its order."""
        last = self._last_gathered(connection)
        first = select(func.coalesce(func.min(self._events.c.position), 1))
        before = min(connection.execute(first).scalar_one(), 1) - 1
        self._move(connection, self._piece_to(last), shift=before - last)
        moved = connection.execute(delete(self._gathered).where(self._piece_to(last))).rowcount
        count_put_back(connection, self._removed, moved)
        return moved

    def _last_gathered(self, connection: Connection) -> int:
        last = select(func.coalesce(func.max(self._gathered.c.position), 0))
        found: int = connection.execute(last).scalar_one()
        return found

    def _piece_to(self, last: int) -> ColumnElement[bool]:
        return self._gathered.c.position.between(last - _AT_ONCE_MAX + 1, last)

    def _move(self, connection: Connection, piece: ColumnElement[bool], *, shift: int) -> None:
        names = [column.name for column in self._events.c if column.name not in _SET_HERE]
        moved = select(
            self._gathered.c.position + shift,
            literal(True),
            *(self._gathered.c[name] for name in names),
        ).where(piece)
        connection.execute(insert(self._events).from_select([*sorted(_SET_HERE), *names], moved))


def _known(connection: Connection, table: Table, ids: Mapping[str, Event]) -> set[str]:
    return set(connection.execute(select(table.c.id).where(table.c.id.in_([*ids]))).scalars())
