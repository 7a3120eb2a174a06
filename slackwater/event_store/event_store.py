"""The event store: an aggregate is its stream of events, kept for ever in a table of events.

A stream's versions count from 1 without a gap: an append names the version that it was decided on,
and is refused when the stream has moved on. The same table is the relay's outbox, so an event is
stored and due for publishing in one write.

All events of a source are followed by their numbers, which the leading relay gives them in the
order of publication (`slackwater.outbox.unpublished`). Positions would not do: one that was taken
earlier may become visible later, and whoever has read past it would skip it for ever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, select
from sqlalchemy.exc import IntegrityError

from slackwater.errors import (
    PoisonousEventError,
    SlackwaterError,
    StructuralError,
    WrongVersionError,
)
from slackwater.event_store.tables import EventStoreTables
from slackwater.events.event import EventBody, Recorded
from slackwater.events.types import EventTypes
from slackwater.outbox.row import from_columns
from slackwater.outbox.ticks import current_tick
from slackwater.outbox.unit_of_work import UnitOfWork

_VERSION_MAX = 2**63 - 1


class Checkpoint(NamedTuple):
    """How far a reader of all events has come: a number, which counts in a timeline.

    It names the event that had the number: a database that lost its newest marks in a failover
    gives them anew, and maybe in another order.
    """

    timeline: str
    number: int
    event_id: str


BEGINNING = Checkpoint("", 0, "")


class Numbered(NamedTuple):
    """An event with the checkpoint of whoever has processed it."""

    checkpoint: Checkpoint
    recorded: Recorded[Any]


class Appended(NamedTuple):
    """What an append has stored, or had stored before when it is a repeat."""

    events: list[Recorded[Any]]
    is_repeat: bool


class LostEventsError(StructuralError):
    """The source has lost events that were read; begin again without a checkpoint."""


class ReusedEventIdError(SlackwaterError):
    """An event id stands for another event already; give a new event a new id."""

    def __init__(self, event_id: str) -> None:
        self.event_id = event_id
        super().__init__(
            f"event id {event_id} stands for another event already; give a new event a new id"
        )


class WrongPartitionKeyError(SlackwaterError):
    """A stream's events are published under one key, which orders them; append under that."""

    def __init__(self, stream_id: str, expected: str, given: str) -> None:
        self.expected = expected
        self.given = given
        super().__init__(
            f"the events of stream {stream_id} have the partition key {expected!r}, not {given!r}; "
            "append under that, which keeps them in order in the log"
        )


class EventStore:
    """The streams of one type of aggregate, in a service's table of events."""

    def __init__(
        self, tables: EventStoreTables, event_types: EventTypes, source: str, *, aggregate_type: str
    ) -> None:
        self.tables = tables
        self.source = source
        self.aggregate_type = aggregate_type
        self._events = tables.events
        self._event_types = event_types
        # Built once: building a statement costs more than executing it.
        events = self._events
        of_type = events.c.aggregatetype == aggregate_type
        of_one = of_type & (events.c.aggregateid == bindparam("stream_id"))
        of_many = of_type & events.c.aggregateid.in_(bindparam("stream_ids", expanding=True))
        in_order = events.c.aggregateid, events.c.version
        between = events.c.version.between(bindparam("first"), bindparam("last"))
        newest = select(events.c.version, events.c.partitionkey).where(of_one)
        self._newest_of_one = newest.order_by(events.c.version.desc()).limit(1)
        self._stream = select(events).where(of_one, between).order_by(*in_order)
        self._streams = select(events).where(of_many).order_by(*in_order)
        self._with_ids = select(events).where(
            events.c.id.in_(bindparam("event_ids", expanding=True))
        )
        self._numbered = (
            select(events)
            .where(events.c.number >= bindparam("number"))
            .order_by(events.c.number)
            .limit(bindparam("most"))
        )

    def append(
        self,
        unit: UnitOfWork,
        stream_id: str,
        expected_version: int,
        bodies: Sequence[EventBody],
        partition_key: str,
        *,
        event_ids: Sequence[str] | None = None,
    ) -> list[Recorded[Any]]:
        """Append events behind `expected_version` (0: the stream is new), and return them.

        `event_ids` names them, one for each, where they must be recognised (`append_once`). All
        events of a stream have one `partition_key`, which keeps them in order in the log.

        Raises:
            WrongVersionError: the stream is at another version.
            ReusedEventIdError: one of `event_ids` stands for an event already.
            WrongPartitionKeyError: the stream has another key.
        """
        if event_ids and (stored := self.with_ids(unit.connection, event_ids)):
            raise ReusedEventIdError(stored[0].event.id)
        return self._append(unit, stream_id, expected_version, bodies, partition_key, event_ids)

    def _append(
        self,
        unit: UnitOfWork,
        stream_id: str,
        expected_version: int,
        bodies: Sequence[EventBody],
        partition_key: str,
        event_ids: Sequence[str] | None,
    ) -> list[Recorded[Any]]:
        actual, key = self._newest(unit.connection, stream_id) or (0, partition_key)
        if actual != expected_version:
            raise WrongVersionError(stream_id, expected_version, actual)
        if key != partition_key:
            raise WrongPartitionKeyError(stream_id, key, partition_key)
        ids: Sequence[str | None] = [None] * len(bodies) if event_ids is None else event_ids
        _require_distinct(event_ids or ())
        new = zip(bodies, ids, strict=True)
        try:
            return [
                unit.add(
                    body,
                    aggregate_id=stream_id,
                    version=version,
                    partition_key=partition_key,
                    event_id=event_id,
                )
                for version, (body, event_id) in enumerate(new, start=expected_version + 1)
            ]
        except IntegrityError as error:
            # Another writer was between our look and our insert: the version is taken.
            raise WrongVersionError(stream_id, expected_version, expected_version + 1) from error

    def append_once(
        self,
        unit: UnitOfWork,
        stream_id: str,
        expected_version: int,
        bodies: Sequence[EventBody],
        partition_key: str,
        *,
        event_ids: Sequence[str],
    ) -> Appended:
        """Append events under ids of their own; a repeat with the same ids appends nothing.

        So an append whose answer was lost may be sent again, however far the stream has come since.

        Raises:
            WrongVersionError: the stream is at another version, and has no events of these ids.
            ReusedEventIdError: an id stands for another event.
            WrongPartitionKeyError: the stream has another key.
        """
        stored = self.with_ids(unit.connection, event_ids)
        if stored:
            self._require_same(stored, stream_id, bodies, partition_key, event_ids)
            return Appended(stored, is_repeat=True)
        appended = self._append(unit, stream_id, expected_version, bodies, partition_key, event_ids)
        return Appended(appended, is_repeat=False)

    def with_ids(self, connection: Connection, event_ids: Sequence[str]) -> list[Recorded[Any]]:
        """Return those events that there are, in the order of their versions."""
        stored = self._read(connection, self._with_ids, {"event_ids": list(event_ids)})
        return sorted(stored, key=lambda recorded: recorded.event.version)

    def version(self, connection: Connection, stream_id: str) -> int:
        """Return the version of the stream's newest event, 0 where there is no stream."""
        newest = self._newest(connection, stream_id)
        return newest[0] if newest is not None else 0

    def _newest(self, connection: Connection, stream_id: str) -> tuple[int, str] | None:
        """Return the version of the stream's newest event, and its partition key."""
        row = connection.execute(self._newest_of_one, {"stream_id": stream_id}).one_or_none()
        return None if row is None else (row.version, row.partitionkey)

    def load(
        self,
        connection: Connection,
        stream_id: str,
        *,
        as_of: datetime | None = None,
        from_version: int = 1,
        up_to_version: int | None = None,
    ) -> list[Recorded[Any]]:
        """Return a stream in version order, whole or as it once was.

        `as_of` ends it before the first event recorded later, so that a clock that was set back
        cannot tear a hole into the past.
        """
        last = _VERSION_MAX if up_to_version is None else up_to_version
        asked = {"stream_id": stream_id, "first": from_version, "last": last}
        history = self._read(connection, self._stream, asked)
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
                self._events.c.aggregatetype == self.aggregate_type,
                self._events.c.aggregateid > after,
            )
            .order_by(self._events.c.aggregateid)
            .limit(limit)
        )
        return list(connection.execute(ids).scalars())

    def read_all(
        self, connection: Connection, *, after: Checkpoint = BEGINNING, limit: int
    ) -> list[Numbered]:
        """Return the next events of the whole source, in the order of their numbers.

        Numbers have no gaps and become visible one after another, so nothing is skipped behind a
        checkpoint. In a timeline other than the checkpoint's everything is read from the beginning:
        the source was restored, or its log lost, and events are told again by their ids.

        Fewer than `limit` come also where one behind them cannot be decoded: it hides none before.

        Raises:
            PoisonousEventError: the very next event cannot be decoded.
            LostEventsError: the source has not come as far as the checkpoint says, or has given
                its number to another event.
        """
        timeline = current_tick(connection, self.tables.tick).timeline
        number = after.number if after.timeline == timeline else 0
        rows = connection.execute(self._numbered, {"number": number, "most": limit + 1}).all()
        if number and (not rows or (rows[0].number, rows[0].id) != (number, after.event_id)):
            raise LostEventsError(
                f"{self.source} has no event {after.event_id} with the number {number} any more; "
                "begin again without a checkpoint"
            )
        return self._decoded(rows[1:] if number else rows[:limit], timeline)

    def _decoded(self, rows: Sequence[Row[Any]], timeline: str) -> list[Numbered]:
        """Return events up to the first that cannot be decoded, if that is not the first of all."""
        numbered: list[Numbered] = []
        for row in rows:
            try:
                recorded = self.decode(row)
            except PoisonousEventError:
                if not numbered:
                    raise
                break
            numbered.append(Numbered(Checkpoint(timeline, row.number, row.id), recorded))
        return numbered

    def decode(self, row: Sequence[Any]) -> Recorded[Any]:
        """Read an event back from all columns of its row."""
        return self._event_types.decode(from_columns(row, self.source))

    def _require_same(
        self,
        stored: Sequence[Recorded[Any]],
        stream_id: str,
        bodies: Sequence[EventBody],
        partition_key: str,
        event_ids: Sequence[str],
    ) -> None:
        found = [
            (event.id, event.aggregate_type, event.aggregate_id, event.partition_key)
            for event in (recorded.event for recorded in stored)
        ]
        asked = [(each, self.aggregate_type, stream_id, partition_key) for each in event_ids]
        if found != asked or [recorded.body for recorded in stored] != list(bodies):
            raise ReusedEventIdError(stored[0].event.id)

    def _read(
        self, connection: Connection, query: Select[Any], asked: Mapping[str, Any]
    ) -> list[Recorded[Any]]:
        return [self.decode(row) for row in connection.execute(query, asked).all()]


def _require_distinct(event_ids: Sequence[str]) -> None:
    seen: set[str] = set()
    for event_id in event_ids:
        if event_id in seen:
            raise ReusedEventIdError(event_id)
        seen.add(event_id)
