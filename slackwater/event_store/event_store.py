"""The event store: an aggregate is its stream of events, kept for ever in a table of events.

A stream's versions count from 1 without a gap: an append names the version that it was decided on,
and is refused when the stream has moved on. The same table is the relay's outbox, so an event is
stored and due for publishing in one write.

Positions may be followed on SQLite alone: its writers come one after another, so no smaller
position can become visible later. On PostgreSQL one can; follow the event log there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, select
from sqlalchemy.exc import IntegrityError

from slackwater.database.port import Database
from slackwater.doorbell import Doorbell
from slackwater.errors import StructuralError, WrongVersionError
from slackwater.events.event import EventBody, Recorded
from slackwater.events.types import EventTypes
from slackwater.outbox.relay import outbox_bell
from slackwater.outbox.row import to_event
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.unit_of_work import UnitOfWork

_BATCH_MAX = 500
_LOOK_INTERVAL_MS = 100


class Positioned(NamedTuple):
    """An event with its place in the publication order of its source."""

    position: int
    recorded: Recorded[Any]


class UnorderedPositionsError(StructuralError):
    """This database does not show events in the order of their positions; follow the event log."""


class EventStore:
    """The streams of one type of aggregate, in a service's table of events."""

    def __init__(
        self, tables: KernelTables, event_types: EventTypes, source: str, *, aggregate_type: str
    ) -> None:
        self._events = tables.events
        self._event_types = event_types
        self._source = source
        self._aggregate_type = aggregate_type
        # Built once: building a statement costs more than executing it.
        events = self._events
        of_type = events.c.aggregatetype == aggregate_type
        of_one = of_type & (events.c.aggregateid == bindparam("stream_id"))
        of_many = of_type & events.c.aggregateid.in_(bindparam("stream_ids", expanding=True))
        in_order = events.c.aggregateid, events.c.version
        self._newest_version = select(func.max(events.c.version)).where(of_one)
        self._stream = select(events).where(of_one).order_by(*in_order)
        self._streams = select(events).where(of_many).order_by(*in_order)

    def append(
        self,
        unit: UnitOfWork,
        stream_id: str,
        expected_version: int,
        bodies: Sequence[EventBody],
        partition_key: str,
    ) -> list[Recorded[Any]]:
        """Append events behind `expected_version` (0: the stream is new), and return them.

        Raises:
            WrongVersionError: the stream is at another version.
        """
        actual = self.version(unit.connection, stream_id)
        if actual != expected_version:
            raise WrongVersionError(stream_id, expected_version, actual)
        return [
            self._add(unit, stream_id, version, body, partition_key)
            for version, body in enumerate(bodies, start=expected_version + 1)
        ]

    def version(self, connection: Connection, stream_id: str) -> int:
        """Return the version of the stream's newest event, 0 where there is no stream."""
        newest = connection.execute(self._newest_version, {"stream_id": stream_id})
        return newest.scalar_one() or 0

    def load(
        self,
        connection: Connection,
        stream_id: str,
        *,
        as_of: datetime | None = None,
        up_to_version: int | None = None,
    ) -> list[Recorded[Any]]:
        """Return a stream in version order, whole or as it once was.

        `as_of` ends it before the first event recorded later, so that a clock that was set back
        cannot tear a hole into the past.
        """
        query = self._stream
        if up_to_version is not None:
            query = query.where(self._events.c.version <= up_to_version)
        history = self._read(connection, query, {"stream_id": stream_id})
        if as_of is None:
            return history
        return list(takewhile(lambda recorded: recorded.event.time <= as_of, history))

    def load_many(
        self, connection: Connection, stream_ids: Sequence[str]
    ) -> dict[str, list[Recorded[Any]]]:
        """Return several streams, each in version order; unknown ones are left out."""
        streams: defaultdict[str, list[Recorded[Any]]] = defaultdict(list)
        asked = {"stream_ids": list(stream_ids)}
        for recorded in self._read(connection, self._streams, asked):
            streams[recorded.event.aggregate_id].append(recorded)
        return dict(streams)

    def stream_ids(self, connection: Connection, *, after: str, limit: int) -> list[str]:
        """Return the ids of the next streams behind `after`, in the order of their text."""
        ids = (
            select(self._events.c.aggregateid)
            .distinct()
            .where(
                self._events.c.aggregatetype == self._aggregate_type,
                self._events.c.aggregateid > after,
            )
            .order_by(self._events.c.aggregateid)
            .limit(limit)
        )
        return list(connection.execute(ids).scalars())

    def read_all(
        self, connection: Connection, *, after_position: int, limit: int
    ) -> list[Positioned]:
        """Return the next events of the whole source, in publication order.

        Raises:
            UnorderedPositionsError: the database is no SQLite; see the module's docstring.
        """
        if connection.dialect.name != "sqlite":
            raise UnorderedPositionsError(
                f"{connection.dialect.name} may show a smaller position later; follow the event log"
            )
        table = self._events
        rows = connection.execute(
            select(table)
            .where(table.c.position > after_position)
            .order_by(table.c.position)
            .limit(limit)
        )
        return [
            Positioned(row.position, self._event_types.decode(to_event(row, self._source)))
            for row in rows
        ]

    async def subscribe(
        self, database: Database, doorbell: Doorbell, *, after_position: int = 0
    ) -> AsyncIterator[Positioned]:
        """Yield every event behind a position, then each new one, without end.

        At most one batch is in memory. Close the iterator to stop.
        """
        listener = doorbell.listen(outbox_bell(self._source))
        try:
            while True:
                batch = await self._read_batch(database, after_position)
                for positioned in batch:
                    yield positioned
                    after_position = positioned.position
                if len(batch) < _BATCH_MAX:
                    await listener.wait(timeout_ms=_LOOK_INTERVAL_MS)
        finally:
            listener.close()

    async def _read_batch(self, database: Database, after_position: int) -> list[Positioned]:
        return await database.read(
            lambda connection: self.read_all(
                connection, after_position=after_position, limit=_BATCH_MAX
            )
        )

    def _add(
        self, unit: UnitOfWork, stream_id: str, version: int, body: EventBody, partition_key: str
    ) -> Recorded[Any]:
        try:
            return unit.add(
                body, aggregate_id=stream_id, version=version, partition_key=partition_key
            )
        except IntegrityError as error:
            # Another writer was between our look and our insert: the version is taken.
            raise WrongVersionError(stream_id, version - 1, version) from error

    def _read(
        self, connection: Connection, query: Select[Any], asked: Mapping[str, Any]
    ) -> list[Recorded[Any]]:
        return [
            self._event_types.decode(to_event(row, self._source))
            for row in connection.execute(query, asked)
        ]
