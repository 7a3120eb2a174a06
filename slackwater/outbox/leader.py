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

from collections.abc import AsyncIterator, Callable, Sequence

from sqlalchemy import Connection

from slackwater.clock import Clock
from slackwater.database.port import Session
from slackwater.event_log.port import EventLog, NewRecord
from slackwater.events.event import Event
from slackwater.logs import logger
from slackwater.outbox.lineage import Lineage, Rewriting
from slackwater.outbox.log_side import LogPutBackError, LogSide
from slackwater.outbox.mined import (
    MinedState,
    Position,
    Versions,
    advance_position,
    arrive_back,
    go_back,
    insert_events,
    read_mined,
    set_position,
)
from slackwater.outbox.removal import remove
from slackwater.outbox.tables import KernelTables, is_numbered
from slackwater.outbox.ticks import (
    current_tick,
    hold_epoch,
    keep_acknowledged,
    raise_tick,
    require_epoch,
)
from slackwater.outbox.unpublished import (
    Unpublished,
    last_unpublished,
    mark_published,
    marked_among,
    number_published,
    read_unpublished,
)
from slackwater.watermarks.tick import Tick

_BATCH_MAX = 500
_NUMBERED_MAX = 5_000
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
        marked: Callable[[], None] = lambda: None,
    ) -> None:
        """`marked` is called whenever events have been marked as published."""
        self._source = source
        self._topics = tuple(topics)
        self._tables = tables
        self._session = session
        self._event_log = log
        self._clock = clock
        self._marked = marked
        self._epoch = 0
        self._log_side: LogSide | None = None

    @property
    def epoch(self) -> int:
        """The epoch that we lead in; 0 before."""
        return self._epoch

    @property
    def log_side(self) -> LogSide:
        """What publishes in our timeline, once we lead."""
        assert self._log_side is not None, "take the lead first"
        return self._log_side

    async def take_lead(self, rewriting: Rewriting | None = None) -> None:
        """Begin an epoch of our own, in the timeline that the log holds or in a new one.

        Args:
            rewriting: what makes the table of events anew first, which parts the histories.

        Raises:
            FencedError: another relay has taken the lead meanwhile.
        """
        lead = await Lineage(
            self._source,
            topics=self._topics,
            tables=self._tables,
            session=self._session,
            log=self._event_log,
            clock=self._clock,
        ).take_lead(rewriting)
        tick = lead.tick
        self._epoch = tick.epoch
        self._log_side = LogSide(
            self._source, topics=self._topics, lead=lead, log=self._event_log, clock=self._clock
        )
        if is_numbered(self._tables.events):
            await self._number_published()
        _log.info("relay leads", source=self._source, epoch=tick.epoch, timeline=tick.timeline)

    async def step(self) -> int:
        """Make one tick, publish everything visible before it, and claim it.

        A step that raises has abandoned its tick: nobody may claim that later.

        Returns:
            How many events were published.

        Raises:
            FencedError: another relay has taken the lead.
        """
        tick = await self.raise_tick()
        published = await self.publish_all()
        await self.log_side.claim(tick)
        return published

    async def publish_all(self) -> int:
        """Publish what `publish_waiting` yields, and return how many events that were."""
        return sum([len(batch) async for batch in self.publish_waiting()])

    async def raise_tick(self) -> Tick:
        """Count our tick up by one, and remember with it how far the log is.

        Raises:
            FencedError: another relay has taken the lead.
        """
        return await self._session.transact(self._raise_tick)

    async def publish_waiting(self) -> AsyncIterator[Sequence[Unpublished]]:
        """Publish whatever the first snapshot shows, and little more; yield each marked batch.

        Chasing what is committed meanwhile would end no step while writers keep busy, and no tick
        would be claimed. Batches go by position: once one reaches the last of the first snapshot,
        nothing of that is left.
        """
        batch, last = await self._session.read(self._read_first)
        while batch:
            await self.publish([row.record for row in batch])
            await self.mark([row.position for row in batch])
            yield batch
            if batch[-1].position >= last:
                break
            batch = await self._session.read(self._read_batch)

    async def publish(self, records: Sequence[NewRecord]) -> None:
        """Append events; the log has acknowledged all of them when this returns.

        Raises:
            LogPutBackError: the log has lost something, which is remembered for whoever leads next.
        """
        try:
            await self.log_side.publish(records)
        except LogPutBackError:
            await self._session.transact(self._remember)
            raise

    async def mark(self, positions: Sequence[int]) -> None:
        """Mark events as published, and remember how far the log has them.

        Raises:
            FencedError: another relay has taken the lead.
        """
        await self._session.transact(lambda connection: self._mark(connection, positions))
        self._marked()

    def remove(self, connection: Connection, positions: Sequence[int]) -> int:
        """Remove those of the events that are published in a transaction, and count them.

        Raises:
            FencedError: another relay has taken the lead.
        """
        assert self._tables.removal is not None, "an event store keeps its events"
        hold_epoch(connection, self._tables.tick, self._epoch)
        return remove(connection, self._tables.events, self._tables.removal.removed, positions)

    def make_rows(
        self,
        connection: Connection,
        events: Sequence[Event],
        versions: Versions,
        position: Position,
    ) -> list[tuple[int, Event]]:
        """Insert events that were made of the database's log, with the position behind them.

        Returns:
            Each with its row's position; its version has been counted.

        Raises:
            FencedError: another relay has taken the lead.
        """
        hold_epoch(connection, self._tables.tick, self._epoch)
        counted = versions.count(connection, events)
        rows = insert_events(connection, self._tables.events, counted)
        set_position(connection, self._tables.mined, position)
        return list(zip(rows, counted, strict=True))

    @property
    def events_table(self) -> str:
        """The name of the table of events."""
        return self._tables.events.name

    def go_back(self, connection: Connection) -> Tick:
        """Let nobody write messages any more, and return the tick then.

        Raises:
            FencedError: another relay has taken the lead.
        """
        hold_epoch(connection, self._tables.tick, self._epoch)
        go_back(connection, self._tables.mined)
        return current_tick(connection, self._tables.tick)

    def arrive_back(self, connection: Connection) -> None:
        """Say that all messages are rows, which services may write again.

        Raises:
            FencedError: another relay has taken the lead.
        """
        hold_epoch(connection, self._tables.tick, self._epoch)
        arrive_back(connection, self._tables.mined)

    def advance_position(self, connection: Connection, position: Position) -> None:
        """Remember that nothing before a position has to become a row any more.

        Raises:
            FencedError: another relay has taken the lead.
        """
        hold_epoch(connection, self._tables.tick, self._epoch)
        advance_position(connection, self._tables.mined, position)

    def mined(self, connection: Connection) -> MinedState | None:
        """Return how far events have been made of the database's log; None where none is."""
        return read_mined(connection, self._tables.mined)

    def marked(self, connection: Connection, positions: Sequence[int]) -> set[int]:
        """Return those of the positions whose events are marked as published."""
        return marked_among(connection, self._tables.events, positions)

    def tick(self, connection: Connection) -> Tick:
        """Return the tick as this snapshot shows it."""
        return current_tick(connection, self._tables.tick)

    def _raise_tick(self, connection: Connection) -> Tick:
        remembered = self.log_side.remembered
        return raise_tick(connection, self._tables.tick, self._epoch, remembered)

    def _remember(self, connection: Connection) -> None:
        hold_epoch(connection, self._tables.tick, self._epoch)
        keep_acknowledged(connection, self._tables.tick, self.log_side.remembered)

    def _mark(self, connection: Connection, positions: Sequence[int]) -> None:
        self._remember(connection)
        mark_published(connection, self._tables.events, positions)

    async def _number_published(self) -> None:
        """Number what a relay of a release that knew no numbers has marked."""
        while await self._session.transact(self._number_some) == _NUMBERED_MAX:
            pass
        self._marked()

    def _number_some(self, connection: Connection) -> int:
        hold_epoch(connection, self._tables.tick, self._epoch)
        return number_published(connection, self._tables.events, limit=_NUMBERED_MAX)

    def _read_first(self, connection: Connection) -> tuple[list[Unpublished], int]:
        """Return the first batch, and the position of the last event that this snapshot shows."""
        batch = self._read_batch(connection)
        if len(batch) < _BATCH_MAX:
            return batch, batch[-1].position if batch else 0
        return batch, last_unpublished(connection, self._tables.events)

    def _read_batch(self, connection: Connection) -> list[Unpublished]:
        """Read in one snapshot that shows our epoch, too."""
        require_epoch(connection, self._tables.tick, self._epoch)
        return read_unpublished(connection, self._tables.events, self._source, limit=_BATCH_MAX)
