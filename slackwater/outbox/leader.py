"""The leader: one relay's turn at publishing what a source commits, and proving how far it is.

    raise tick n ──► read unpublished in a fresh snapshot ──► append to the log, await durability
         ▲              (until what the first one showed is published)  │
         └──── wait for news, 100 ms at most ◄── emit watermark n ◄── mark as published

Everything visible before tick n was committed is in a snapshot taken after it. So once the log
holds all of that, whoever has applied the log up to its present ends has applied everything that
was visible before tick n: that is the claim of watermark n. A crash between any two steps repeats
events and never loses one; a leader that was replaced fails at its next tick or mark and claims
nothing more. Before its first tick it has made sure that the log holds this source's own history
(`slackwater.outbox.lineage`).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace
from sqlalchemy import Connection

from slackwater import metrics
from slackwater.clock import Clock
from slackwater.database.port import Session
from slackwater.event_log.port import EventLog, NewRecord, TopicPartition
from slackwater.events.cloudevents import TIMELINE_HEADER
from slackwater.logs import logger
from slackwater.outbox.lineage import Lineage
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.ticks import hold_epoch, keep_acknowledged, raise_tick, require_epoch
from slackwater.outbox.unpublished import (
    Unpublished,
    last_unpublished,
    mark_published,
    read_unpublished,
)
from slackwater.watermarks.record import Watermark, by_topic
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
        self._timeline = ""
        self._since: dict[str, list[int]] = {}
        self._acknowledged: dict[TopicPartition, int] = {}

    async def take_lead(self) -> None:
        """Begin an epoch of our own, in the timeline that the log holds or in a new one.

        Raises:
            FencedError: another relay has taken the lead meanwhile.
        """
        tick, self._since, self._acknowledged = await Lineage(
            self._source,
            topics=self._topics,
            tables=self._tables,
            session=self._session,
            log=self._event_log,
            clock=self._clock,
        ).take_lead()
        self._epoch, self._timeline = tick.epoch, tick.timeline
        _log.info("relay leads", source=self._source, epoch=self._epoch, timeline=self._timeline)

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
            places = await self._event_log.append([self._in_timeline(row.record) for row in batch])
            self._acknowledged |= {at: offset + 1 for at, offset in places}
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
        # A broker that was replaced may answer with an old end; what was acknowledged lies before
        # the true one, also of what our predecessors have appended.
        ends = {at: max(end, self._acknowledged.get(at, 0)) for at, end in ends.items()}
        watermark = Watermark(
            source=self._source,
            timeline=self._timeline,
            epoch=tick.epoch,
            n=tick.n,
            clock=self._clock.now(),
            offsets=by_topic(ends, self._topics),
            since=self._since,
        )
        await self._event_log.append([watermark.to_record()])

    def _in_timeline(self, record: NewRecord) -> NewRecord:
        return replace(record, headers={**record.headers, TIMELINE_HEADER: self._timeline})

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
            keep_acknowledged(connection, self._tables.tick, self._acknowledged)

        await self._session.transact(work)
