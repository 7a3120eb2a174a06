"""The safeguards of freshness, each of which can be turned off to see the oracle find out."""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, Table, select

from slackwater.event_log.port import EventLog, NewRecord, TopicPartition
from slackwater.events.event import Event
from slackwater.freshness import board, source_track
from slackwater.freshness.bound import Instant
from slackwater.freshness.probe import SourceProbe
from slackwater.freshness.source_track import SourceTrack
from slackwater.outbox import leader as leading
from slackwater.outbox.leader import Leader
from slackwater.outbox.lineage import Rewriting
from slackwater.outbox.log_side import LogSide
from slackwater.outbox.row import to_event
from slackwater.outbox.ticks import current_tick
from slackwater.outbox.unpublished import Unpublished, to_record
from slackwater.read_models import fold as folding
from slackwater.read_models.discards import Discards
from slackwater.read_models.progress import ReadModelProgress
from slackwater.read_models.showing import Showing
from slackwater.testing.relay_contract import LogAround
from slackwater.watermarks.record import WATERMARKS, Watermark
from slackwater.watermarks.tick import Tick

LATE_S = 1.0
_OFTEN = 0.3


def relay_through(log_around: Callable[[EventLog], EventLog]) -> None:
    """Let every relay of this process see the log through another one."""
    init = Leader.__init__

    def wrapped(self: Leader, *arguments: Any, **named: Any) -> None:
        init(self, *arguments, **named)
        self._event_log = log_around(self._event_log)

    Leader.__init__ = wrapped  # type: ignore[method-assign]


def turn_off(name: str) -> None:
    """Turn a safeguard off in this process, for good."""
    SAFEGUARDS[name]()


def watermark_after_data() -> None:
    """The watermark is emitted before the events are published."""

    async def step(self: Leader) -> int:
        await self.log_side.claim(await self.raise_tick())
        return await self.publish_all()

    Leader.step = step  # type: ignore[method-assign]


def acknowledgements() -> None:
    """The relay goes on, marks and claims before the log has the events."""
    relay_through(_Unacknowledged)


class _Unacknowledged(LogAround):
    """Sends events later, in order, and says at once that they were sent."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(log)
        self._sending: asyncio.Task[Any] | None = None

    async def append(self, records: Sequence[NewRecord]) -> Any:
        if all(record.topic == WATERMARKS.name for record in records):
            return await self._log.append(records)
        self._sending = asyncio.create_task(self._later(records, self._sending))
        return []

    async def _later(self, records: Sequence[NewRecord], before: asyncio.Task[Any] | None) -> None:
        if before is not None:
            await before
        await asyncio.sleep(LATE_S)
        await self._log.append(records)


def all_partitions() -> None:
    """Only the first partition of each topic counts."""

    def missing(
        self: Watermark,
        positions: Mapping[TopicPartition, int],
        topics: Collection[str],
        _only: object = None,
    ) -> int:
        return sum(
            max(0, offsets[0] - positions.get(TopicPartition(topic, 0), 0))
            for topic in topics
            if (offsets := self.offsets.get(topic))
        )

    Watermark.missing = missing  # type: ignore[method-assign]


def marks() -> None:
    """Events are found behind the last position instead of by their mark."""
    last: dict[str, int] = {}

    def behind_the_last(
        connection: Connection, table: Table, source: str, *, limit: int
    ) -> list[Unpublished]:
        rows = connection.execute(
            select(table)
            .where(table.c.position > last.get(source, 0))
            .order_by(table.c.position)
            .limit(limit)
        )
        found = [Unpublished(row.position, to_record(to_event(row, source))) for row in rows]
        if found:
            last[source] = found[-1].position
        return found

    leading.read_unpublished = behind_the_last


def contiguous_versions() -> None:
    """The newer version wins, and what is sent in one batch arrives in any order."""

    def newer(version: int, event: Event, _: Discards) -> bool:
        return event.version > version

    folding._is_next = newer
    read = leading.read_unpublished

    def shuffled(*arguments: Any, **named: Any) -> list[Unpublished]:
        time.sleep(LATE_S / 4)  # on a thread: batches are large enough to be shuffled
        found = read(*arguments, **named)
        random.shuffle(found)
        return found

    leading.read_unpublished = shuffled


def fences_and_fresh_ends() -> None:
    """A relay that was replaced goes on, and what others append is not asked for.

    A relay keeps a vector of its own instead: the ends at its beginning, and what it appended.
    """
    leading.require_epoch = _nothing
    leading.hold_epoch = _nothing
    leading.raise_tick = _raise_whoever_leads
    take_lead = Leader.take_lead

    async def take_lead_and_look(self: Leader, rewriting: Rewriting | None = None) -> None:
        await take_lead(self, rewriting)
        ends = await self._event_log.end_offsets(self._topics)
        self.log_side._event_log = _OwnVector(self._event_log, ends)

    Leader.take_lead = take_lead_and_look  # type: ignore[method-assign]
    claim = LogSide.claim

    async def claim_late(self: LogSide, tick: Tick) -> None:
        """Now and then it stands still between mark and claim, while the other one goes on."""
        await asyncio.sleep(LATE_S / 2 if random.random() < _OFTEN else 0)
        await claim(self, tick)

    LogSide.claim = claim_late  # type: ignore[method-assign]


def _nothing(*_: object) -> None: ...


def _raise_whoever_leads(connection: Connection, table: Table, *_: object) -> Tick:
    connection.execute(table.update().values(n=table.c.n + 1))
    return current_tick(connection, table)


class _OwnVector(LogAround):
    def __init__(self, log: EventLog, ends: dict[TopicPartition, int]) -> None:
        super().__init__(log)
        self._ends = ends

    async def append(self, records: Sequence[NewRecord]) -> Any:
        appended = await self._log.append(records)
        for at, offset in appended:
            self._ends[at] = max(self._ends.get(at, 0), offset + 1)
        return appended

    async def end_offsets(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        return {at: end for at, end in self._ends.items() if at.topic in topics}


def greater_tick() -> None:
    """A tick that equals the probe's is taken to prove it."""

    def proven(self: SourceTrack, reached: Tick) -> Instant | None:
        at = bisect_right(self._probed_ticks, reached)
        return self._probed_at[at - 1] if at else None

    source_track.SourceTrack.proven = proven  # type: ignore[method-assign]


def instant_of_sending() -> None:
    """The instant that counts is that of the answer, which takes its time.

    The check for sources that were put back would notice; it goes by the true instant.
    """
    init, add_probe = SourceProbe.__init__, SourceTrack.add_probe
    tick_known_at = SourceTrack._tick_known_at

    def wrapped(self: SourceProbe, *arguments: Any, take: Any, **named: Any) -> None:
        def take_late(*answer: Any) -> None:
            asyncio.get_running_loop().call_later(LATE_S, take, *answer)

        init(self, *arguments, take=take_late, **named)

    def add_as_of_the_answer(self: SourceTrack, tick: Tick, sent: Instant) -> bool:
        return add_probe(self, tick, Instant(sent.monotonic_s + LATE_S, sent.wall))

    def known_when_sent(self: SourceTrack, monotonic_s: float) -> Tick | None:
        return tick_known_at(self, monotonic_s - LATE_S)

    SourceProbe.__init__ = wrapped  # type: ignore[method-assign]
    source_track.SourceTrack.add_probe = add_as_of_the_answer  # type: ignore[method-assign]
    source_track.SourceTrack._tick_known_at = known_when_sent  # type: ignore[method-assign]


def refresh_gate() -> None:
    """Progress of search is saved before the refresh, which comes some time later.

    One for all that was written meanwhile: if each batch had its own, they would follow one another
    as closely as the batches do.
    """
    show_and_save = Showing._show_and_save

    async def save_and_show(self: Showing) -> None:
        show = self._show

        async def show_later() -> None:
            async def later() -> None:
                await asyncio.sleep(LATE_S)
                await show()

            if not _late:
                _late.add(task := asyncio.create_task(later()))
                task.add_done_callback(_late.discard)

        self._show = show_later
        try:
            await show_and_save(self)
        finally:
            self._show = show

    Showing._show_and_save = save_and_show  # type: ignore[method-assign]


_late: set[asyncio.Task[None]] = set()


def holes() -> None:
    """The gateway takes what is parked for applied."""
    follow = board._Model.follow

    def without_holes(self: board._Model, progress: ReadModelProgress) -> None:
        follow(self, replace(progress, holes=()))

    board._Model.follow = without_holes  # type: ignore[method-assign]


SAFEGUARDS: dict[str, Callable[[], None]] = {
    "watermark-after-data": watermark_after_data,
    "refresh-gate": refresh_gate,
    "all-partitions": all_partitions,
    "marks": marks,
    "contiguous-versions": contiguous_versions,
    "fences-and-fresh-ends": fences_and_fresh_ends,
    "acknowledgements": acknowledgements,
    "greater-tick": greater_tick,
    "instant-of-sending": instant_of_sending,
    "holes": holes,
}
