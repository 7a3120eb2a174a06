"""The contract of the relay under many writers: nothing is skipped, nothing claimed too early.

Sixteen writers commit and roll back at once; some keep their transactions open for seconds while
others commit, so rows become visible out of their order. Two relays compete for the lead, and the
leader is struck twice between the append and its acknowledgement.

Subclass `RelayWritersContract` beside `RelayContract`, on the same `adapter`. By hand, for longer:
`WRITERS_EVENTS=100000`; the seed is printed, and `WRITERS_SEED=…` repeats what was drawn.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import msgspec
import pytest
from sqlalchemy import Connection, false, select

from slackwater.database.port import DatabaseCapability
from slackwater.errors import TransientError
from slackwater.event_log.port import EventLog, NewRecord, TopicPartition
from slackwater.events.cloudevents import from_headers
from slackwater.events.event import Event
from slackwater.outbox.ticks import current_tick
from slackwater.testing import counting
from slackwater.testing.claims import AdapterContract, Guarantee, holds, needs
from slackwater.testing.relay_contract import LogAround, Source, running
from slackwater.watermarks.record import WATERMARKS, Watermark
from slackwater.watermarks.tick import Tick

EVENTS = int(os.environ.get("WRITERS_EVENTS", "1500"))
SEED = int(os.environ.get("WRITERS_SEED", str(random.SystemRandom().randrange(10**6))))

_WRITERS = 16
_HANDLES = 4
_SHARED_COUNTERS = 40
_STRIKES = 2
_DEADLINE_S = 30.0
_WRITING_S = 60.0 + EVENTS / 50
_LOOK_INTERVAL_S = 0.01

Place = tuple[TopicPartition, int]


class RolledBackError(Exception):
    """A writer gives its transaction up."""


class Placed(NamedTuple):
    """An event where it stands in the log."""

    at: TopicPartition
    offset: int
    event: Event


class Seen(NamedTuple):
    """What was visible before any tick that is later than this one."""

    tick: Tick
    runs: frozenset[str]


class History(msgspec.Struct):
    """What the writers know of their runs; a run is told by the correlation id of its events."""

    committed: dict[str, int] = msgspec.field(default_factory=dict)
    """How many events each run has committed."""
    undone: set[str] = msgspec.field(default_factory=set)
    seen: list[Seen] = msgspec.field(default_factory=list)
    events: int = 0
    long_ones: int = 0

    def commit(self, run: str, events: int) -> None:
        self.committed[run] = events
        self.events += events


class StruckLog(LogAround):
    """Remembers every watermark; fails on demand when records are durable and nobody heard."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(log)
        self.watermarks: list[Watermark] = []
        self.unheard: set[Place] = set()
        self.strikes = 0
        self._is_to_strike = False

    def strike(self) -> None:
        """Let the next append of events fail after it."""
        self._is_to_strike = True

    async def append(self, records: Sequence[NewRecord]) -> list[Place]:
        if records[0].topic == WATERMARKS.name:
            self.watermarks += [Watermark.from_value(record.value) for record in records]
            return await super().append(records)
        places = await super().append(records)
        if self._is_to_strike:
            self._is_to_strike = False
            self.strikes += 1
            self.unheard |= set(places)
            raise TransientError("the acknowledgement was lost")
        return places


class Writer:
    """Raises counters: its own in long transactions, everybody's in short ones."""

    def __init__(
        self, number: int, source: Source, history: History, all_in: threading.Barrier
    ) -> None:
        self._source = source
        self._history = history
        self._all_in = all_in
        self._own = f"own {number}"
        self._random = random.Random(SEED * 100 + number)  # noqa: S311 - repeatable, no secret

    async def run(self) -> None:
        """Write until all have written enough; the first transactions are open all at once."""
        await self._transact([self._own], self._meet_all)
        while self._history.events < EVENTS:
            if self._random.random() < 0.02:
                await self._keep_open()
            else:
                await self._transact(self._drawn_counters(), lambda: None)

    async def _keep_open(self) -> None:
        open_s = self._random.uniform(0.2, 2.0)
        self._history.long_ones += 1
        await self._transact([self._own] * 3, lambda: time.sleep(open_s))

    def _drawn_counters(self) -> list[str]:
        """Draw in one order for all, so that nobody waits in a circle."""
        drawn = self._random.sample(range(_SHARED_COUNTERS), self._random.randint(1, 4))
        return [f"shared {number}" for number in sorted(drawn)]

    def _meet_all(self) -> None:
        if not self._all_in.broken:
            self._all_in.wait(_DEADLINE_S)

    async def _transact(self, counter_ids: Sequence[str], before_end: Callable[[], None]) -> None:
        """Commit, or roll back one time in five; a transaction may run more than once."""
        runs: list[str] = []
        gives_up = self._random.random() < 0.2

        def work(connection: Connection) -> None:
            unit = counting.unit_of_work(connection)
            runs.append(unit.cause.correlation_id)
            for counter_id in counter_ids:
                unit.run(lambda unit, name=counter_id: counting.raise_counter(unit, name))  # type: ignore[misc]
            before_end()
            if gives_up:
                raise RolledBackError

        try:
            await self._source.database.transact(work)
        except (RolledBackError, TransientError):
            self._history.undone.update(runs)
            return
        self._history.undone.update(runs[:-1])
        self._history.commit(runs[-1], len(counter_ids))
        tick = await self._source.tick()
        self._history.seen.append(Seen(tick, frozenset(runs[-1:])))


class RelayWritersContract(AdapterContract):
    """What the relay keeps, however writers overlap and whoever leads."""

    @holds(Guarantee.WATERMARKS)
    @needs(DatabaseCapability.CONCURRENT_WRITERS)
    @pytest.mark.timeout(3 * _WRITING_S)
    async def test_sixteen_writers_and_two_relays_skip_lose_reorder_and_overclaim_nothing(
        self, source: Source, open_source: Callable[[], Awaitable[Source]]
    ) -> None:
        print(f"\nWRITERS_SEED={SEED} WRITERS_EVENTS={EVENTS}")  # noqa: T201 - repeats the run
        history, log = History(), StruckLog(source.log)
        began_s = time.monotonic()
        handles = [await open_source() for _ in range(_HANDLES)]
        async with AsyncExitStack() as stack:
            for handle in handles[:2]:
                await stack.enter_async_context(running(handle.relay(log=log)))
            await stack.enter_async_context(_watching(source, history))
            await _write(handles, history, log)
            await _claimed_everything(source, log)
        took_s = time.monotonic() - began_s
        placed = await _placed(source)
        _check_published(placed, history)
        _check_order(placed)
        _check_repeated(placed, log)
        late = await _late(source, placed)
        checks = _check_claims(placed, history, log.watermarks)
        assert {watermark.epoch for watermark in log.watermarks} >= {1, 2, 3}
        assert history.undone
        assert late > 0
        print(  # noqa: T201
            f"{history.events} events in {took_s:.1f} s, {history.long_ones} long transactions, "
            f"{len(history.undone)} runs undone, {late} events overtaken, "
            f"{len(placed) - history.events} repeated, {len(log.watermarks)} watermarks, "
            f"{checks} claims checked"
        )


async def _write(handles: Sequence[Source], history: History, log: StruckLog) -> None:
    all_in = threading.Barrier(_WRITERS)
    writers = [
        Writer(number, handles[number % _HANDLES], history, all_in) for number in range(_WRITERS)
    ]
    async with asyncio.timeout(_WRITING_S), asyncio.TaskGroup() as group:
        for writer in writers:
            group.create_task(writer.run())
        for share in range(1, _STRIKES + 1):
            await _until(lambda share=share: history.events * (_STRIKES + 1) >= EVENTS * share)  # type: ignore[misc]
            log.strike()
    async with asyncio.timeout(_DEADLINE_S):
        await _until(lambda: log.strikes == _STRIKES)


@asynccontextmanager
async def _watching(source: Source, history: History) -> AsyncIterator[None]:
    """See again and again, in one snapshot, the tick and what is not published yet."""
    table = counting.tables.events

    def look(connection: Connection) -> Seen:
        waiting = select(table.c.correlationid).where(table.c.published == false()).distinct()
        runs = frozenset(connection.execute(waiting).scalars())
        return Seen(current_tick(connection, counting.tables.tick), runs)

    async def watch() -> None:
        while True:
            history.seen.append(await source.database.read(look))
            await asyncio.sleep(_LOOK_INTERVAL_S)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching


async def _claimed_everything(source: Source, log: StruckLog) -> None:
    """Wait until a tick is claimed that began after everything was committed."""
    tick = await source.tick()
    async with asyncio.timeout(_WRITING_S):
        await _until(lambda: bool(log.watermarks) and log.watermarks[-1].tick > tick)


async def _until(is_so: Callable[[], bool]) -> None:
    """Look until it is so; the caller sets the deadline."""
    while not is_so():  # noqa: ASYNC110 - the threads that change it know no loop
        await asyncio.sleep(_LOOK_INTERVAL_S)


async def _placed(source: Source) -> list[Placed]:
    """Return all events as they stand in the log, those of a partition in its order."""
    return [
        Placed(
            each.topic_partition, each.offset, from_headers(each.topic, each.headers, each.value)
        )
        for each in await source.records(counting.COUNTERS.name)
    ]


def _firsts(placed: Sequence[Placed]) -> list[Placed]:
    firsts: dict[str, Placed] = {}
    for each in placed:
        firsts.setdefault(each.event.id, each)
    return list(firsts.values())


def _run_of(placed: Placed) -> str:
    return placed.event.cause.correlation_id


def _check_published(placed: Sequence[Placed], history: History) -> None:
    """What was committed is in the log, all of it, and nothing else is."""
    published = Counter(map(_run_of, _firsts(placed)))
    assert not published.keys() & history.undone, "rolled back, and published"
    assert published == history.committed, "skipped, lost, or never committed"


def _check_order(placed: Sequence[Placed]) -> None:
    versions = defaultdict[str, list[int]](list)
    for each in _firsts(placed):
        versions[each.event.aggregate_id].append(each.event.version)
    for counter_id, found in versions.items():
        assert found == list(range(1, len(found) + 1)), counter_id


def _check_repeated(placed: Sequence[Placed], log: StruckLog) -> None:
    """Only what a struck leader had appended is there twice."""
    counts = Counter(each.event.id for each in placed)
    repeated = {(each.at, each.offset) for each in _firsts(placed) if counts[each.event.id] > 1}
    assert repeated == log.unheard
    assert max(counts.values()) <= 1 + _STRIKES


async def _late(source: Source, placed: Sequence[Placed]) -> int:
    """Count the events that were published after one of a greater position: the hazard was met."""
    table = counting.tables.events
    rows = await source.database.read(
        lambda connection: connection.execute(select(table.c.id, table.c.position)).all()
    )
    positions = {row.id: row.position for row in rows}
    greatest, late = defaultdict[TopicPartition, int](int), 0
    for each in _firsts(placed):
        position = positions[each.event.id]
        late += position < greatest[each.at]
        greatest[each.at] = max(greatest[each.at], position)
    return late


def _check_claims(
    placed: Sequence[Placed], history: History, watermarks: Sequence[Watermark]
) -> int:
    """Hold each watermark to its claim: what was visible before its tick lies below its offsets."""
    ends = defaultdict[str, dict[TopicPartition, int]](dict)
    for each in _firsts(placed):
        ends[_run_of(each)][each.at] = each.offset + 1
    checks, needed = 0, dict[TopicPartition, int]()
    seen = sorted(history.seen, key=lambda each: each.tick, reverse=True)
    for watermark in sorted(watermarks, key=lambda each: each.tick):
        while seen and seen[-1].tick < watermark.tick:
            for run in seen.pop().runs:
                for at, end in ends[run].items():
                    needed[at] = max(needed.get(at, 0), end)
        for at, end in needed.items():
            assert watermark.offsets[at.topic][at.partition] >= end, watermark
            checks += 1
    return checks
