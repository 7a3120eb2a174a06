"""The relay: publishes what a source committed, and proves how far it has come.

    raise tick n ──► read unpublished in a fresh snapshot ──► append to the log, await durability
         ▲                 (until a snapshot shows no more)             │
         └──── wait for news, 100 ms at most ◄── emit watermark n ◄── mark as published

Everything visible before tick n was committed is in a snapshot taken after it. So once the log
holds all of that, whoever has applied the log up to its present ends has applied everything that
was visible before tick n: that is the claim of watermark n. A crash between any two steps repeats
events and never loses one; a relay that was replaced fails at its next tick or mark and claims
nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from slackwater.clock import Clock, SystemClock
from slackwater.database.port import Database
from slackwater.doorbell import Doorbell
from slackwater.event_log.port import EventLog, TopicPartition
from slackwater.logs import logger
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.ticks import raise_tick, require_epoch, take_epoch
from slackwater.outbox.unpublished import Unpublished, mark_published, read_unpublished
from slackwater.watermarks.record import Watermark
from slackwater.watermarks.tick import Tick

T = TypeVar("T")

_BATCH_MAX = 500
_log = logger("relay")


def outbox_bell(source: str) -> str:
    """The name of the bell that rings when a source has committed events."""
    return f"outbox/{source}"


class Relay:
    """The leading relay of one source; starting one takes the lead from any other."""

    def __init__(
        self,
        source: str,
        *,
        topics: Sequence[str],
        tables: KernelTables,
        database: Database,
        log: EventLog,
        doorbell: Doorbell,
        heartbeat_ms: int = 100,
        tick_interval_min_ms: int = 20,
        clock: Clock | None = None,
    ) -> None:
        self._source = source
        self._topics = tuple(topics)
        self._tables = tables
        self._database = database
        self._event_log = log
        self._doorbell = doorbell
        self._heartbeat_ms = heartbeat_ms
        self._tick_interval_min_s = tick_interval_min_ms / 1000
        self._clock = clock or SystemClock()
        self._epoch = 0

    async def run(self) -> None:
        """Relay until cancelled.

        Raises:
            FencedError: another relay has taken the lead.
        """
        await self.take_lead()
        listener = self._doorbell.listen(outbox_bell(self._source))
        try:
            while True:
                published = await self.step()
                if published:  # a tick after the batch lets waiting readers go on at once
                    await asyncio.sleep(self._tick_interval_min_s)
                else:
                    await listener.wait(timeout_ms=self._heartbeat_ms)
        finally:
            listener.close()

    async def take_lead(self) -> None:
        """Begin an epoch of our own."""
        self._epoch = await self._database.transact(
            lambda connection: take_epoch(connection, self._tables.tick)
        )
        _log.info("relay leads", source=self._source, epoch=self._epoch)

    async def step(self) -> int:
        """Make one tick, publish everything visible before it, and claim it.

        Returns:
            How many events were published.
        """
        tick = await self._database.transact(
            lambda connection: raise_tick(connection, self._tables.tick, self._epoch)
        )
        published = await self._publish_all()
        await self._emit(tick)
        return published

    async def _publish_all(self) -> int:
        published = 0
        while batch := await self._in_own_epoch(self._database.read, self._read_batch):
            await self._event_log.append([row.record for row in batch])
            await self._in_own_epoch(
                self._database.transact, lambda connection: self._mark(connection, batch)
            )
            published += len(batch)
            if len(batch) < _BATCH_MAX:
                break
        return published

    async def _emit(self, tick: Tick) -> None:
        # Read after the snapshot: nothing that an earlier relay appended late lies behind them.
        ends = await self._event_log.end_offsets(self._topics)
        watermark = Watermark(
            source=self._source,
            epoch=tick.epoch,
            n=tick.n,
            clock=self._clock.now(),
            offsets={topic: _ends_of(topic, ends) for topic in self._topics},
        )
        await self._event_log.append([watermark.to_record()])

    async def _in_own_epoch(
        self,
        run: Callable[[Callable[[Connection], T]], Awaitable[T]],
        work: Callable[[Connection], T],
    ) -> T:
        """Run `work` in a snapshot or transaction that still shows our epoch."""

        def checked(connection: Connection) -> T:
            require_epoch(connection, self._tables.tick, self._epoch)
            return work(connection)

        return await run(checked)

    def _read_batch(self, connection: Connection) -> list[Unpublished]:
        return read_unpublished(connection, self._tables.events, self._source, limit=_BATCH_MAX)

    def _mark(self, connection: Connection, batch: Sequence[Unpublished]) -> None:
        mark_published(connection, self._tables.events, [row.position for row in batch])


def _ends_of(topic: str, ends: dict[TopicPartition, int]) -> list[int]:
    partitions = sorted(at for at in ends if at.topic == topic)
    return [ends[at] for at in partitions]
