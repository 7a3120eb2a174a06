"""The miner of a source: a relay to which PostgreSQL brings what is committed, unasked.

    wait for the lease ──► own the slot ──► begin an epoch ──► publish the rows that wait ──► mine

The slot comes before the epoch: from then on no predecessor can confirm anything any more. Rows
wait where an outbox was polled before, where a predecessor had not marked them yet, and where a
slot was lost. Without rows, what a lost slot held is lost, so another timeline begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice

from slackwater.clock import Clock
from slackwater.database.port import Session
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.postgresql_transaction import driver_of
from slackwater.doorbell import Doorbell
from slackwater.event_log.port import EventLog
from slackwater.logs import logger
from slackwater.mining.mining_leader import TICK_TABLE, MiningLeader
from slackwater.mining.pgoutput import OPTIONS
from slackwater.mining.reading import Reading
from slackwater.mining.replication import ReplicationStream
from slackwater.mining.slot import Published, Slot
from slackwater.outbox.leader import Leader
from slackwater.outbox.relay import Relay, outbox_bell
from slackwater.outbox.tables import KernelTables

_KNOWN_MAX = 100_000
_TICKS = Published(TICK_TABLE, ("insert", "update"))
_log = logger("miner")


def slot_of(database: PostgresqlDatabase, reading: Reading) -> Slot:
    """Return the slot of a source whose events are found so."""
    return Slot(database.schema, [_TICKS, *reading.published])


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
        reading: Reading,
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
        self._reading = reading
        self._slot = slot_of(database, reading)
        self._log_of = database

    async def _lead(self, session: Session) -> None:
        leader = self.leader(session, has_rows=self._reading.has_rows)
        if await self._slot_is_lost():
            await self._replace_slot(leader)
        stream = await ReplicationStream.open(
            self._log_of.url,
            name=f"slackwater miner {self._source}",
            slot=self._slot.name,
            publications=self._slot.publications,
            options=OPTIONS,
        )
        try:
            if not leader.epoch:
                await leader.take_lead()
            await self._mine(MiningLeader(leader, session, stream, self._reading), leader)
        finally:
            stream.close()

    async def _mine(self, mining: MiningLeader, leader: Leader) -> None:
        known = {row.position async for batch in leader.publish_waiting() for row in batch}
        listener = self._doorbell.listen(outbox_bell(self._source))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(mining.mine(set(islice(known, _KNOWN_MAX))))
                tasks.create_task(mining.keep_marking())
                tasks.create_task(
                    mining.keep_ticking(
                        listener, interval_min_s=self._tick_interval_min_s, idle_ms=self._idle_ms
                    )
                )
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # whatever else failed, failed because of it
        finally:
            listener.close()

    async def _slot_is_lost(self) -> bool:
        return await self._log_of.read(lambda connection: self._slot.is_lost(driver_of(connection)))

    async def _replace_slot(self, leader: Leader) -> None:
        """Make another slot; where only the lost one knew of events, another timeline before it."""
        if self._reading.has_rows:
            _log.error(
                "slot lost",
                source=self._source,
                remedy="nothing is lost with it: rows that wait are published from their table; "
                "if it held back too much log, raise max_slot_wal_keep_size",
            )
        else:
            await leader.take_lead(parted="the slot with its unpublished events is lost")
        await self._log_of.outside(self._slot.make_again)


async def prepare_slot(database: PostgresqlDatabase, reading: Reading) -> None:
    """Make the slot before anything is committed that only the log will tell of.

    Raises:
        UnminableError: it cannot be made; the message says what is to be done.
    """
    await database.outside(slot_of(database, reading).prepare)
