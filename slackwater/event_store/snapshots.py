"""Snapshots: what a stream had added up to at some versions, so that few events are replayed.

A snapshot is only ever a cache. It is written in the transaction of the append that made its
version, so it is never ahead of its stream, and it names the event that made the version: one that
does not fit the stream, cannot be decoded or is of another schema version counts as none. All of
them may be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select

from slackwater.event_store.event_store import EventStore
from slackwater.events.event import Recorded
from slackwater.logs import logger

StateT = TypeVar("StateT", bound=msgspec.Struct)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ANY = 2**63 - 1
_log = logger("snapshots")


class Snapshot(msgspec.Struct, Generic[StateT], frozen=True):
    """What a stream had added up to once the event had made its version."""

    version: int
    event_id: str
    latest_us: int
    state: StateT


class Snapshots(Generic[StateT]):
    """The snapshots of the streams of one store, all with states of one type."""

    def __init__(self, streams: EventStore, state: type[StateT], *, schema_version: int) -> None:
        """Raise `schema_version` whenever the state, or how events add up to it, has changed."""
        self._streams = streams
        self._table = table = streams.tables.snapshot
        self._schema_version = schema_version
        self._decoder = msgspec.json.Decoder(state)
        self._encoder = msgspec.json.Encoder()
        # Built once: building a statement costs more than executing it.
        of_ours = (table.c.aggregatetype == streams.aggregate_type) & (
            table.c.schemaversion == schema_version
        )
        of_one = of_ours & (table.c.aggregateid == bindparam("stream_id"))
        newest_version = select(func.coalesce(func.max(table.c.version), 1)).where(of_one)
        events = streams.tables.events
        self._since_newest = (
            select(events, table.c.eventid, table.c.latest_us, table.c.state)
            .select_from(events.outerjoin(table, of_one & (table.c.version == events.c.version)))
            .where(
                events.c.aggregatetype == streams.aggregate_type,
                events.c.aggregateid == bindparam("stream_id"),
                events.c.version >= newest_version.scalar_subquery(),
            )
            .order_by(events.c.version)
        )
        self._newest = (
            select(table)
            .where(
                of_one,
                table.c.version <= bindparam("last"),
                table.c.latest_us <= bindparam("latest_us"),
            )
            .order_by(table.c.version.desc())
            .limit(1)
        )
        self._among = (
            select(table.c.aggregateid)
            .distinct()
            .where(of_ours, table.c.aggregateid.in_(bindparam("stream_ids", expanding=True)))
        )
        is_outdated = table.c.schemaversion < schema_version
        is_ahead = (table.c.schemaversion == schema_version) & (
            table.c.version >= bindparam("reached")
        )
        self._useless = delete(table).where(
            table.c.aggregatetype == streams.aggregate_type,
            table.c.aggregateid == bindparam("stream_id"),
            is_outdated | is_ahead,
        )

    def since_newest(
        self, connection: Connection, stream_id: str
    ) -> tuple[Snapshot[StateT] | None, list[Recorded[Any]]]:
        """Return the newest snapshot and the stream from its event on, in one statement.

        Without a snapshot that is the whole stream.
        """
        rows = connection.execute(self._since_newest, {"stream_id": stream_id}).all()
        history = [self._streams.decode(row) for row in rows]
        if not rows or rows[0].state is None:
            return None, history
        return self._decoded(rows[0]), history

    def newest(
        self,
        connection: Connection,
        stream_id: str,
        *,
        as_of: datetime | None = None,
        up_to_version: int | None = None,
    ) -> Snapshot[StateT] | None:
        """Return the newest snapshot that holds nothing behind the bounds; None if there is none.

        `as_of` leaves out those with an event that was recorded later, wherever in the stream.
        """
        asked = {
            "stream_id": stream_id,
            "last": _ANY if up_to_version is None else up_to_version,
            "latest_us": _ANY if as_of is None else _to_us(as_of),
        }
        row = connection.execute(self._newest, asked).one_or_none()
        return None if row is None else self._decoded(row)

    def among(self, connection: Connection, stream_ids: Sequence[str]) -> set[str]:
        """Return those of the streams that have a snapshot."""
        return set(connection.execute(self._among, {"stream_ids": list(stream_ids)}).scalars())

    def take(self, connection: Connection, stream_id: str, version: int, state: StateT) -> None:
        """Keep what the stream's newest event has made of it, in the transaction of its append.

        Those of older schemas are removed with it: nobody but a former release would read them.
        """
        connection.execute(self._useless, {"stream_id": stream_id, "reached": version})
        before = self.newest(connection, stream_id)
        behind = self._streams.load(
            connection, stream_id, from_version=before.version + 1 if before else 1
        )
        latest_us = max(_to_us(recorded.event.time) for recorded in behind)
        connection.execute(
            insert(self._table),
            {
                "aggregatetype": self._streams.aggregate_type,
                "aggregateid": stream_id,
                "schemaversion": self._schema_version,
                "version": version,
                "eventid": behind[-1].event.id,
                "latest_us": max(latest_us, before.latest_us if before else latest_us),
                "state": self._encoder.encode(state),
            },
        )

    def _decoded(self, row: Row[Any]) -> Snapshot[StateT] | None:
        try:
            state = self._decoder.decode(row.state)
        except msgspec.MsgspecError as error:
            _log.warning(
                "a snapshot cannot be decoded and is not used",
                stream_id=row.aggregateid,
                version=row.version,
                reason=str(error),
                remedy="raise the schema version of the snapshots",
            )
            return None
        return Snapshot(row.version, row.eventid, row.latest_us, state)


def _to_us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
