"""Whether the log holds this source's own history; where it does not, a new timeline begins.

A source that was put back to a backup, and one whose log was lost or is another's, go on as if
nothing had happened: ticks are raised again that were raised before, and versions are given to
other events. Whoever has folded the lost history would drop those as old ones. So a relay that
takes the lead compares, before its first tick:

    take an epoch ──► newest watermark in the log ──► records that we were ──► our history? ──► lead
                                                      never told of                │ no
                          append where it begins ◄── read the log's ends ◄── new timeline, and all
                                   │                                         events unpublished
                                   ▼                                         (one transaction)
                                 lead

A service looks, too, before it serves: else it could hand out tokens in the old timeline, which is
reached already by read models that hold the lost history.

Where events were removed from the table, the relay first takes them back from the log
(`slackwater.outbox.refill`). If that does not have them for certain, nothing begins: it halts and
claims nothing, because a timeline that lacked them would look as good as any.

Died before the append: the log does not know the source's timeline, so the successor begins another
one. Died after it: the successor finds it and goes on. No event of a timeline is published before
the record with which it begins is in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from slackwater.clock import Clock
from slackwater.database.port import Session
from slackwater.event_log.port import EventLog, Record, TopicPartition
from slackwater.event_log.reading import read_between
from slackwater.events.cloudevents import ID_HEADER, TIMELINE_HEADER
from slackwater.logs import logger
from slackwater.outbox.refill import Refill, UnfitLogError
from slackwater.outbox.removal import HistoryRemovedError, count_removed
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.ticks import (
    begin_timeline,
    current_tick,
    hold_epoch,
    read_acknowledged,
    take_epoch,
)
from slackwater.outbox.unpublished import mark_all_unpublished
from slackwater.watermarks.newest import newest_watermarks
from slackwater.watermarks.record import Watermark, by_topic
from slackwater.watermarks.tick import Tick

_log = logger("relay")


class Rewriting(NamedTuple):
    """What makes the table of events anew in one transaction, and why that must be."""

    reason: str
    work: Callable[[Connection], None]
    needs_history: bool = False
    """Whether it goes on with the events that there are, of which none may be missing then."""


class Lead(NamedTuple):
    """The tick at which a relay begins to lead, where in the log its timeline began, and how far
    the log has acknowledged what is published.
    """

    tick: Tick
    since: dict[str, list[int]]
    acknowledged: dict[TopicPartition, int]


class Lineage:
    """One source's history and what the log holds of it."""

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

    async def take_lead(self, rewriting: Rewriting | None = None) -> Lead:
        """Begin an epoch, in a new timeline where the histories have parted.

        A history that is made anew parts from any that somebody may have been told of.

        Raises:
            FencedError: another relay has taken the lead meanwhile.
            HistoryRemovedError: they have, and neither table nor log has the whole history.
        """
        held, acknowledged = await self._session.transact(
            lambda connection: (
                take_epoch(connection, self._tables.tick),
                read_acknowledged(connection, self._tables.tick),
            )
        )
        newest = (await newest_watermarks(self._event_log)).get(self._source)
        reason = await self._parting(held, acknowledged, newest)
        if reason is None and rewriting is not None:
            reason = await self._begin_history(held, rewriting)
        if reason is not None:
            if rewriting is None or rewriting.needs_history:
                await self._take_back(held, acknowledged, reason)
            held = await self._begin_timeline(held, newest, reason, rewriting)
            acknowledged = {}
        if newest is not None and newest.timeline == held.timeline:
            return Lead(held, newest.since, acknowledged)
        return Lead(held, await self._announce(held), acknowledged)

    async def settle(self) -> None:
        """Begin a new timeline if the histories have parted, and leave any relay's lead alone else.

        Raises:
            FencedError: a relay has taken the lead meanwhile; look again.
            HistoryRemovedError: they have parted, and it is for the relay to find what was removed.
        """
        # The log may go on meanwhile: what it acknowledged is read before it, the tick after it.
        acknowledged = await self._session.read(
            lambda connection: read_acknowledged(connection, self._tables.tick)
        )
        newest = (await newest_watermarks(self._event_log)).get(self._source)
        tick = await self._session.read(
            lambda connection: current_tick(connection, self._tables.tick)
        )
        next_epoch = tick._replace(epoch=tick.epoch + 1)
        reason = await self._parting(next_epoch, acknowledged, newest)
        if reason is None:
            return
        if missing := await self._session.read(self._count_removed):
            # Taking back takes long: service and relay would take the lead from one another.
            raise HistoryRemovedError(self._source, missing, f"{reason}; its relay looks for them")
        await self.take_lead()

    async def _parting(
        self, held: Tick, acknowledged: dict[TopicPartition, int], newest: Watermark | None
    ) -> str | None:
        """Say what shows that the log's history is not ours; None while nothing does."""
        if newest is None:
            return "the log has nothing of it" if held.n else None
        if newest.timeline != held.timeline:
            return "the log holds another timeline of it"
        if newest.epoch >= held.epoch or newest.n > held.n:
            return f"the log has its tick {newest.tick}, and it has itself not come that far"
        ends = await self._event_log.end_offsets(self._topics)
        for promised in (newest.claimed, acknowledged):
            if any(ends.get(at, 0) < offset for at, offset in promised.items()):
                return "the log ends before what it had acknowledged"
        # Not from what is claimed: a claim also covers events that were committed after its tick,
        # and the source may be put back to between the two.
        async for records in read_between(
            self._event_log, {**newest.beginning, **acknowledged}, ends
        ):
            if not await self._knows(records, newest.timeline):
                return "the log has an event that it does not know itself"
        return None

    async def _knows(self, records: Sequence[Record], timeline: str) -> bool:
        """Tell whether the source has these events; late ones of another timeline are void."""
        ours = [each for each in records if each.headers.get(TIMELINE_HEADER, "") == timeline]
        return await self._session.read(lambda connection: self._has_all(connection, ours))

    def _has_all(self, connection: Connection, records: Sequence[Record]) -> bool:
        """Look for those that lie behind what the source says that the log had acknowledged.

        Before that lies nothing that the source has lost: who appended it had read a row, and rows
        that were read before a mark or tick are older than it. They may have been removed since.
        """
        acknowledged = read_acknowledged(connection, self._tables.tick)
        ids = {
            record.headers.get(ID_HEADER, "")
            for record in records
            if record.offset >= acknowledged.get(record.topic_partition, 0)
        }
        column = self._tables.events.c.id
        known = connection.execute(select(column).where(column.in_(ids))).scalars()
        return ids <= set(known)

    def _count_removed(self, connection: Connection) -> int:
        removal = self._tables.removal
        return count_removed(connection, removal.removed) if removal is not None else 0

    async def _take_back(
        self, held: Tick, acknowledged: dict[TopicPartition, int], reason: str
    ) -> None:
        removal = self._tables.removal
        missing = await self._session.read(self._count_removed)
        if removal is None or not missing:
            return
        refill = Refill(
            self._source,
            topics=self._topics,
            tables=self._tables,
            removal=removal,
            session=self._session,
            log=self._event_log,
            held=held,
        )
        try:
            await refill.run(acknowledged)
        except UnfitLogError as error:
            raise HistoryRemovedError(self._source, missing, f"{reason}, and {error}") from error

    async def _begin_history(self, held: Tick, rewriting: Rewriting) -> str | None:
        """Write the first history; return why that cannot be where something was told already."""
        table = self._tables.events

        def work(connection: Connection) -> str | None:
            hold_epoch(connection, self._tables.tick, held.epoch)
            if held.n or connection.execute(select(table.c.position).limit(1)).first():
                return rewriting.reason
            rewriting.work(connection)
            return None

        return await self._session.transact(work)

    async def _begin_timeline(
        self, held: Tick, newest: Watermark | None, reason: str, rewriting: Rewriting | None
    ) -> Tick:
        beyond = newest.tick if newest is not None else Tick(0, 0)

        def work(connection: Connection) -> Tick:
            later = begin_timeline(connection, self._tables.tick, held, beyond=beyond)
            if rewriting is not None:
                rewriting.work(connection)
            else:
                mark_all_unpublished(connection, self._tables.events)
            return later

        begun = await self._session.transact(work)
        _log.error(
            "the histories of source and log have parted",
            source=self._source,
            reason=reason,
            timeline=begun.timeline,
            remedy="all its events are published again; then rebuild every read model that it "
            "feeds (slackwater rebuild NAME), until when their freshness is unknown",
        )
        return begun

    async def _announce(self, tick: Tick) -> dict[str, list[int]]:
        """Append the record with which the timeline begins; return where that is."""
        since = by_topic(await self._event_log.end_offsets(self._topics), self._topics)
        beginning = Watermark(
            source=self._source,
            timeline=tick.timeline,
            epoch=tick.epoch,
            n=tick.n,
            clock=self._clock.now(),
            offsets={},
            since=since,
        )
        await self._event_log.append([beginning.to_record()])
        return since
