"""Aggregates as their streams make them: found from the newest snapshot, gone on with by appends.

    find:    newest snapshot ──► the event that made it, and those behind ──► fold them onto it
                 └─ none, or it does not fit the stream ──► fold the whole stream

A snapshot is taken with the append that takes a stream over a multiple of `every` versions. So a
look replays at most that many events and those of one append, and as many on top as are in streams
whose snapshots are of an older schema, until they have grown on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import reduce
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from sqlalchemy import Connection

from slackwater.event_store.event_store import EventStore
from slackwater.event_store.snapshots import Snapshot, Snapshots
from slackwater.events.event import EventBody, Recorded
from slackwater.logs import logger
from slackwater.outbox.unit_of_work import UnitOfWork

StateT = TypeVar("StateT", bound=msgspec.Struct)

_log = logger("aggregates")


class Loaded(NamedTuple, Generic[StateT]):
    """An aggregate at a version; version 0 and None where there is none."""

    version: int
    state: StateT | None


class Aggregates(Generic[StateT]):
    """All aggregates of one event store."""

    def __init__(
        self,
        streams: EventStore,
        snapshots: Snapshots[StateT],
        *,
        apply: Callable[[StateT | None, Recorded[Any]], StateT],
        every: int,
    ) -> None:
        """Take a snapshot `every` so many versions.

        `apply` adds an event to a state, the first one to None; it must look at nothing else.
        """
        self.streams = streams
        self._snapshots = snapshots
        self._apply = apply
        self._every = every

    def find(
        self,
        connection: Connection,
        stream_id: str,
        *,
        as_of: datetime | None = None,
        up_to_version: int | None = None,
    ) -> StateT | None:
        """Return an aggregate as it is, or as it was; None where it is not, or was not yet.

        `as_of` is as in `EventStore.load`.
        """
        if as_of is None and up_to_version is None:
            return self.load(connection, stream_id).state
        snapshot = self._snapshots.newest(
            connection, stream_id, as_of=as_of, up_to_version=up_to_version
        )
        history = self.streams.load(
            connection,
            stream_id,
            as_of=as_of,
            from_version=snapshot.version if snapshot else 1,
            up_to_version=up_to_version,
        )
        if not _is_usable(snapshot, history, stream_id):
            history = self.streams.load(
                connection, stream_id, as_of=as_of, up_to_version=up_to_version
            )
            snapshot = None
        return self._fold(snapshot, history).state

    def load(self, connection: Connection, stream_id: str) -> Loaded[StateT]:
        """Return an aggregate as it is; that takes a single statement (`Database.read_one`)."""
        snapshot, history = self._snapshots.since_newest(connection, stream_id)
        if not _is_usable(snapshot, history, stream_id):
            snapshot, history = None, self.streams.load(connection, stream_id)
        return self._fold(snapshot, history)

    def find_many(self, connection: Connection, stream_ids: Sequence[str]) -> dict[str, StateT]:
        """Return those aggregates that there are, by their ids."""
        long = self._snapshots.among(connection, stream_ids)
        short = [stream_id for stream_id in stream_ids if stream_id not in long]
        found = {stream_id: self.load(connection, stream_id).state for stream_id in sorted(long)}
        for stream_id, history in self.streams.load_many(connection, short).items():
            found[stream_id] = self._fold(None, history).state
        return {stream_id: state for stream_id, state in found.items() if state is not None}

    def append(
        self,
        unit: UnitOfWork,
        stream_id: str,
        loaded: Loaded[StateT],
        bodies: Sequence[EventBody],
        partition_key: str,
        *,
        event_ids: Sequence[str] | None = None,
    ) -> StateT:
        """Append what was decided on an aggregate, one event at least; return what it becomes.

        Raises:
            WrongVersionError: the stream is at another version.
            ReusedEventIdError: one of `event_ids`, if they are given, stands for an event already.
            WrongPartitionKeyError: the stream has another partition key.
        """
        appended = self.streams.append(
            unit, stream_id, loaded.version, bodies, partition_key, event_ids=event_ids
        )
        state = self._apply(loaded.state, appended[0])
        state = reduce(self._apply, appended[1:], state)
        reached = loaded.version + len(appended)
        if loaded.version // self._every < reached // self._every:
            self._snapshots.take(unit.connection, stream_id, reached, state)
        return state

    def _fold(
        self, snapshot: Snapshot[StateT] | None, history: Sequence[Recorded[Any]]
    ) -> Loaded[StateT]:
        state, behind = (snapshot.state, history[1:]) if snapshot else (None, history)
        for recorded in behind:
            state = self._apply(state, recorded)
        return Loaded(history[-1].event.version if history else 0, state)


def _is_usable(
    snapshot: Snapshot[Any] | None, history: Sequence[Recorded[Any]], stream_id: str
) -> bool:
    """Tell whether a history begins with the event that made the snapshot, or with the first."""
    if snapshot is None:
        return bool(history) and history[0].event.version == 1
    if history and history[0].event.id == snapshot.event_id:
        return True
    _log.warning(
        "a snapshot does not fit its stream and is not used",
        stream_id=stream_id,
        version=snapshot.version,
        remedy="find out who has changed events; the snapshot may be deleted",
    )
    return False
