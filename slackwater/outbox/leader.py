"""The leader: one relay's turn at publishing what a source commits, and proving how far it is.

    raise tick n ──► read unpublished in a fresh snapshot ──► append to the log, await durability
         ▲              (until what the first one showed is published)  │
         └──── wait for news, 100 ms at most ◄── emit watermark n ◄── mark as published

Everything visible before tick n was committed is in a snapshot taken after it. So once the log
holds all of that, whoever has applied the log up to its present ends has applied everything that
was visible before tick n: that is the claim of watermark n. A crash between any two steps repeats
events and never loses one; a leader that was replaced fails at its next tick or mark and claims
nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from slackwater import metrics
from slackwater.clock import Clock
from slackwater.database.port import Session
from slackwater.event_log.port import EventLog, TopicPartition
from slackwater.logs import logger
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.ticks import hold_epoch, raise_tick, require_epoch, take_epoch
from slackwater.outbox.unpublished import (
    Unpublished,
    last_unpublished,
    mark_published,
    read_unpublished,
)
from slackwater.watermarks.record import Watermark
from slackwater.watermarks.tick import Tick

_BATCH_MAX = 500
_log = logger("relay")


class Leader:
    """Relays one source in an epoch of its own; taking one takes the lead from any other."""

    def __init__(
        self,
        source: str,
        *,
        topics: Sequence[str],
        tables: KernelTables,
        session: Session,
        log: EventLog,
        clock: Clock,
    ) -> None:
        self._source = source
        self._topics = tuple(topics)
        self._tables = tables
        self._session = session
        self._event_log = log
        self._clock = clock
        self._epoch = 0

    async def take_lead(self) -> None:
        """Begin an epoch of our own."""
        self._epoch = await self._session.transact(
            lambda connection: take_epoch(connection, self._tables.tick)
        )
        _log.info("relay leads", source=self._source, epoch=self._epoch)

    async def step(self) -> int:
        """Make one tick, publish everything visible before it, and claim it.

        A step that raises has abandoned its tick: nobody may claim that later.

        Returns:
            How many events were published.

        Raises:
            FencedError: another relay has taken the lead.
        """
        tick = await self._session.transact(
            lambda connection: raise_tick(connection, self._tables.tick, self._epoch)
        )
        published = await self._publish_all()
        await self._emit(tick)
        metrics.RELAY_TICKS.labels(self._source).inc()
        return published

    async def _publish_all(self) -> int:
        """Publish whatever the first snapshot shows, and little more.

        Chasing what is committed meanwhile would end no step while writers keep busy, and no tick
        would be claimed. Batches go by position: once one reaches the last of the first snapshot,
        nothing of that is left.
        """
        published = 0
        last = await self._session.read(self._last_unpublished)
        while last and (batch := await self._session.read(self._read_batch)):
            await self._event_log.append([row.record for row in batch])
            await self._mark(batch)
            published += len(batch)
            metrics.RELAY_BATCHES.labels(self._source).inc()
            metrics.RELAY_EVENTS.labels(self._source).inc(len(batch))
            if batch[-1].position >= last:
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

    def _last_unpublished(self, connection: Connection) -> int | None:
        """Read in one snapshot that shows our epoch, too."""
        require_epoch(connection, self._tables.tick, self._epoch)
        return last_unpublished(connection, self._tables.events)

    def _read_batch(self, connection: Connection) -> list[Unpublished]:
        """Read in one snapshot that shows our epoch, too."""
        require_epoch(connection, self._tables.tick, self._epoch)
        return read_unpublished(connection, self._tables.events, self._source, limit=_BATCH_MAX)

    async def _mark(self, batch: Sequence[Unpublished]) -> None:
        def work(connection: Connection) -> None:
            hold_epoch(connection, self._tables.tick, self._epoch)
            mark_published(connection, self._tables.events, [row.position for row in batch])

        await self._session.transact(work)


def _ends_of(topic: str, ends: dict[TopicPartition, int]) -> list[int]:
    partitions = sorted(at for at in ends if at.topic == topic)
    return [ends[at] for at in partitions]
