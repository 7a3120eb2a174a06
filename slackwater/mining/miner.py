"""The miner of a source: a relay to which PostgreSQL brings what is committed, unasked.

    wait for the lease ──► own the slot ──► begin an epoch ──► publish the rows that wait ──► mine

The slot comes before the epoch: from then on no predecessor can confirm anything any more. Where
events are inferred, the history may have to be made first (`slackwater.mining.beginning`).

Rows and messages are mined as the database says (`slackwater.mining.way`): services begin with
messages, and a miner of rows brings them back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from slackwater.cancellation import until_one_fails
from slackwater.clock import Clock
from slackwater.database.port import Session
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.postgresql_transaction import driver_of
from slackwater.doorbell import Doorbell
from slackwater.errors import TransientError
from slackwater.event_log.port import EventLog
from slackwater.mining.beginning import forsaking, history_of, lost_events, why_lost
from slackwater.mining.inferring import Inferring
from slackwater.mining.mapping import RowMapping
from slackwater.mining.mining_leader import MiningLeader
from slackwater.mining.pgoutput import IN_BINARY, OPTIONS
from slackwater.mining.reading import Reading
from slackwater.mining.replication import ReplicationStream
from slackwater.mining.retention import Retention
from slackwater.mining.slot import Published, Slot
from slackwater.mining.snapshot import Snapshot, SnapshotTaking
from slackwater.mining.way import begin_way
from slackwater.outbox.leader import Leader
from slackwater.outbox.lineage import Rewriting
from slackwater.outbox.mined import MinedState, Versions, read_mined
from slackwater.outbox.publishing import Publishing
from slackwater.outbox.relay import Relay, outbox_bell
from slackwater.outbox.tables import KernelTables
from slackwater.watermarks.tick import Tick

_ALARM_BYTES = 1_000_000_000
_KEEP_INTERVAL_S = 1.0
_TICK_INTERVAL_MIN_S = 0.02
_ROW_KINDS = ("insert", "update", "delete", "truncate")


def slot_of(
    database: PostgresqlDatabase,
    tables: KernelTables,
    publishing: Publishing = Publishing.LOG_OUTBOX,
    mapping: RowMapping | None = None,
) -> Slot:
    """Return the slot of a source that publishes so.

    It serves rows and messages alike, so that one may change from the one to the other.
    """
    tick = Published(tables.tick.name, ("insert", "update"))
    if publishing is Publishing.ROW_CHANGES:
        assert mapping is not None, "the settings were checked"
        rows = [
            Published(each.table.name, _ROW_KINDS, whole_rows=each.whole_rows)
            for each in mapping.tables
        ]
        return Slot(database.schema, [*rows, tick])
    sees_rows = publishing is Publishing.LOG_OUTBOX
    return Slot(database.schema, [Published(tables.events.name, ("insert",), sees_rows), tick])


class ChangedWayError(TransientError):
    """The way of publishing was changed while a miner took the lead; take it anew."""


class Miner(Relay):
    """One of the miners of a source, of which one leads."""

    def __init__(
        self,
        source: str,
        *,
        topics: Sequence[str],
        tables: KernelTables,
        database: PostgresqlDatabase,
        log: EventLog,
        doorbell: Doorbell,
        heartbeat_ms: int = 100,
        clock: Clock | None = None,
        publishing: Publishing = Publishing.LOG_OUTBOX,
        mapping: RowMapping | None = None,
        alarm_bytes: int = _ALARM_BYTES,
    ) -> None:
        super().__init__(
            source,
            topics=topics,
            tables=tables,
            database=database,
            log=log,
            doorbell=doorbell,
            heartbeat_ms=heartbeat_ms,
            clock=clock,
        )
        self._mined = database
        self.way = publishing
        self._mapping = mapping if publishing is Publishing.ROW_CHANGES else None
        self._slot = slot_of(database, tables, publishing, mapping)
        self._retention = Retention(source, database, self._slot, alarm_bytes=alarm_bytes)

    async def run(self) -> None:
        """Relay whenever nobody else does, and watch the slot, until cancelled."""
        await until_one_fails(
            [asyncio.create_task(super().run()), asyncio.create_task(self._retention.watch())]
        )

    async def _lead(self, session: Session) -> None:
        state = await self.check_way(session)
        if self._mapping is None:
            slot = await self._prepare_log(session, state)
            await self._stream(session, slot, None, sees_rows=state is None)
            return
        beginning = await self._prepare_rows(session, self._mapping)
        try:
            await self._stream(session, self._slot, beginning, sees_rows=False)
        finally:
            if beginning is not None:
                beginning.close()

    async def _prepare_log(self, session: Session, state: MinedState | None) -> Slot:
        """Return the slot, which brings all events that are no rows yet, and those that come."""
        way = Publishing.LOG_OUTBOX if state is None else Publishing.LOG_MESSAGES
        slot = slot_of(self._mined, self._tables, way)
        if state is not None:
            await self._halt_if_lost(session, state, slot)
        if not await session.read(lambda each: slot.is_ready(driver_of(each))):
            await self._mined.outside(slot.make if state is None else slot.mend_publications)
        return slot

    async def _halt_if_lost(self, session: Session, state: MinedState, slot: Slot) -> None:
        lost = await self._why_lost(session, state, slot) if state.lost is None else None
        if lost is not None or state.lost is not None:
            # Taking the lead says in the log that a timeline has begun: then freshness is unknown.
            forsake = forsaking(self._tables, lost) if lost is not None else None
            await self.leader(session).take_lead(forsake)
            raise lost_events(state.lost or str(lost))

    async def _prepare_rows(self, session: Session, mapping: RowMapping) -> _Beginning | None:
        """Return the rows from which the history is to be made anew; None where it goes on."""
        await self._mined.outside(
            lambda each: begin_way(each, Publishing.ROW_CHANGES, self._tables.events.name)
        )
        state = await session.read(self._state)
        if state is None or not state.has_begun:
            reason = "its events are inferred from its rows from now on"
        else:
            lost = await self._why_lost(session, state, self._slot)
            if lost is None:
                return None
            reason = f"changes of its rows were lost: {lost}"
        await self._mined.outside(self._slot.clear)
        url, schema, slot = self._mined.url, self._mined.schema, self._slot.name
        snapshot = await self._take(session, SnapshotTaking(url, schema=schema, slot=slot))
        return _Beginning(
            snapshot, history_of(snapshot, mapping, self._source, self._tables, reason)
        )

    async def _take(self, session: Session, taking: SnapshotTaking) -> Snapshot:
        """Wait as long as open transactions make it take, and let the lease not fall silent."""
        task = asyncio.create_task(asyncio.to_thread(taking.take))
        try:
            while not (await asyncio.wait([task], timeout=_KEEP_INTERVAL_S))[0]:
                await session.read(self._state)
        except BaseException:
            taking.give_up()
            await asyncio.wait([task])
            if task.exception() is None:
                task.result().close()
            raise
        return task.result()

    def _state(self, connection: Connection) -> MinedState | None:
        return read_mined(connection, self._tables.mined)

    async def _why_lost(self, session: Session, state: MinedState, slot: Slot) -> str | None:
        return await session.read(lambda each: why_lost(each, state, slot))

    async def _stream(
        self, session: Session, slot: Slot, beginning: _Beginning | None, *, sees_rows: bool
    ) -> None:
        stream = await ReplicationStream.open(
            self._mined.url,
            name=f"slackwater miner {self._source}",
            slot=slot.name,
            publications=slot.publications,
            options=IN_BINARY if self._mapping is None else OPTIONS,
        )
        telling = asyncio.create_task(stream.keep_telling())
        try:
            leader = self.leader(session)
            await leader.take_lead(beginning.rewriting if beginning is not None else None)
            state = await self.check_way(session)
            if (state is None) != sees_rows:
                raise ChangedWayError("its events leave another way since it was looked up")
            if beginning is not None:
                beginning.close()  # else it would keep the server from tidying up
            await self._mine(session, stream, leader, telling, state)
        finally:
            telling.cancel()
            stream.close()

    async def _mine(
        self,
        session: Session,
        stream: ReplicationStream,
        leader: Leader,
        telling: asyncio.Task[None],
        state: MinedState | None,
    ) -> None:
        last_messages = await self._go_back(session, leader, state)
        reading = Reading(
            self._source,
            self._mined.schema,
            self._tables,
            sees_rows=state is None,
            mapping=self._mapping,
        )
        mining = MiningLeader(
            leader,
            session,
            stream,
            reading,
            Inferring(self._source, reading, self._mapping, state.position if state else None),
            Versions(self._tables.events),
            last_messages,
        )
        listener = self._doorbell.listen(outbox_bell(self._source))
        ticking = mining.keep_ticking(
            listener, interval_min_s=_TICK_INTERVAL_MIN_S, idle_ms=self._idle_ms
        )
        try:
            await until_one_fails(
                [
                    telling,
                    asyncio.create_task(mining.mine()),
                    asyncio.create_task(mining.settle()),
                    asyncio.create_task(mining.keep_marking()),
                    asyncio.create_task(ticking),
                    *self._beside(leader, session),
                ]
            )
        finally:
            listener.close()

    async def _go_back(
        self, session: Session, leader: Leader, state: MinedState | None
    ) -> Tick | None:
        """Where services are to write rows again, let messages end; return the tick then."""
        if state is None or state.way is Publishing.ROW_CHANGES:
            return None
        if Publishing.LOG_OUTBOX not in (self.way, state.way):
            return None
        return await session.transact(leader.go_back)


class _Beginning(NamedTuple):
    """The rows that there are, and what makes the history of them."""

    snapshot: Snapshot
    rewriting: Rewriting

    def close(self) -> None:
        self.snapshot.close()
