"""The miner of a source: a relay to which PostgreSQL brings what is committed, unasked.

    wait for the lease ──► own the slot ──► begin an epoch ──► publish the rows that wait ──► mine

The slot comes before the epoch: from then on no predecessor can confirm anything any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from slackwater.cancellation import until_one_fails
from slackwater.clock import Clock
from slackwater.database.port import Session
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.postgresql_transaction import driver_of
from slackwater.doorbell import Doorbell
from slackwater.event_log.port import EventLog
from slackwater.mining.mining_leader import MiningLeader
from slackwater.mining.pgoutput import OPTIONS
from slackwater.mining.reading import Reading
from slackwater.mining.replication import ReplicationStream
from slackwater.mining.slot import Published, Slot
from slackwater.outbox.relay import Relay, outbox_bell
from slackwater.outbox.tables import KernelTables


def slot_of(database: PostgresqlDatabase, tables: KernelTables) -> Slot:
    """Return the slot of a source."""
    events = Published(tables.events.name, ("insert",))
    return Slot(database.schema, [events, Published(tables.tick.name, ("insert", "update"))])


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
        tick_interval_min_ms: int = 20,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            source,
            topics=topics,
            tables=tables,
            database=database,
            log=log,
            doorbell=doorbell,
            heartbeat_ms=heartbeat_ms,
            tick_interval_min_ms=tick_interval_min_ms,
            clock=clock,
        )
        self._mined = database
        self._slot = slot_of(database, tables)
        self._reading = Reading(source, database.schema, tables)

    async def _lead(self, session: Session) -> None:
        if not await self._mined.read(lambda each: self._slot.is_ready(driver_of(each))):
            await self._mined.outside(self._slot.make)
        stream = await ReplicationStream.open(
            self._mined.url,
            name=f"slackwater miner {self._source}",
            slot=self._slot.name,
            publications=self._slot.publications,
            options=OPTIONS,
        )
        telling = asyncio.create_task(stream.keep_telling())
        try:
            await self._mine(session, stream, telling)
        finally:
            telling.cancel()
            stream.close()

    async def _mine(
        self, session: Session, stream: ReplicationStream, telling: asyncio.Task[None]
    ) -> None:
        leader = self.leader(session)
        await leader.take_lead()
        mining = MiningLeader(leader, session, stream, self._reading)
        listener = self._doorbell.listen(outbox_bell(self._source))
        ticking = mining.keep_ticking(
            listener, interval_min_s=self._tick_interval_min_s, idle_ms=self._idle_ms
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
