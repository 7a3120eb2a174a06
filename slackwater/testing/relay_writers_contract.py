"""The contract of the relay under many writers: nothing is skipped, nothing claimed too early.

Sixteen writers commit and roll back at once; some keep their transactions open for seconds while
others commit, so rows become visible out of their order. Where a database has one writer at a time,
the others wait instead. Two relays compete for the lead, and the leader is struck twice between the
append and its acknowledgement.

Subclass `RelayWritersContract` beside `RelayContract`, on the same `adapter`. By hand, for longer:
`WRITERS_EVENTS=100000`; the seed is printed, and `WRITERS_SEED=…` repeats what was drawn.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from sqlalchemy import Connection

from slackwater.database.port import DatabaseCapability
from slackwater.errors import TransientError, WrongVersionError
from slackwater.event_log.port import EventLog, NewRecord
from slackwater.outbox.ticks import current_tick
from slackwater.testing.claims import AdapterContract, Guarantee, holds
from slackwater.testing.relay_contract import LogAround, Source, running
from slackwater.testing.relay_writers_checks import (
    History,
    Place,
    Seen,
    check_claims,
    check_order,
    check_published,
    check_repeated,
    count_overtaken,
    read_placed,
)
from slackwater.watermarks.record import WATERMARKS, Watermark

EVENTS = int(os.environ.get("WRITERS_EVENTS", "1000"))
SEED = int(os.environ.get("WRITERS_SEED", str(random.SystemRandom().randrange(10**6))))

_WRITERS = 16
_HANDLES = 4
_SHARED_COUNTERS = 40
_STRIKES = 2
_DEADLINE_S = 30.0
_WRITING_S = 60.0 + EVENTS / 50
_LOOK_INTERVAL_S = 0.01


class RolledBackError(Exception):
    """A writer gives its transaction up."""


class StruckLog(LogAround):
    """Remembers every claim; fails on demand when records are durable and nobody heard."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(log)
        self.watermarks: list[Watermark] = []
        self.unheard: set[Place] = set()
        self._is_to_strike = False

    async def strike(self) -> None:
        """Let the next append of events fail after it, and wait until it has."""
        self._is_to_strike = True
        async with asyncio.timeout(_DEADLINE_S):
            await _until(lambda: not self._is_to_strike)

    async def append(self, records: Sequence[NewRecord]) -> list[Place]:
        if records[0].topic == WATERMARKS.name:
            watermarks = [Watermark.from_value(record.value) for record in records]
            self.watermarks += [watermark for watermark in watermarks if watermark.offsets]
            return await super().append(records)
        places = await super().append(records)
        if self._is_to_strike:
            self._is_to_strike = False
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
            unit = self._source.unit_of_work(connection)
            runs.append(unit.cause.correlation_id)
            for counter_id in counter_ids:
                self._source.raise_by(unit, counter_id)
            before_end()
            if gives_up:
                raise RolledBackError

        try:
            await self._source.database.transact(work)
        except (RolledBackError, TransientError, WrongVersionError):
            self._history.undone.update(runs)
            return
        self._history.undone.update(runs[:-1])
        self._history.commit(runs[-1], len(counter_ids))
        tick = await self._source.tick()
        self._history.seen.append(Seen(tick, frozenset(runs[-1:])))


class RelayWritersContract(AdapterContract):
    """What the relay keeps, however writers overlap and whoever leads."""

    @holds(Guarantee.WATERMARKS)
    @pytest.mark.timeout(3 * _WRITING_S)
    async def test_sixteen_writers_and_two_relays_skip_lose_reorder_and_overclaim_nothing(
        self, source: Source, open_source: Callable[[], Awaitable[Source]]
    ) -> None:
        print(f"\nWRITERS_SEED={SEED} WRITERS_EVENTS={EVENTS}")  # noqa: T201 - repeats the run
        history, log = History(), StruckLog(source.log)
        shared = [f"shared {number}" for number in range(_SHARED_COUNTERS)]
        await source.database.transact(lambda connection: source.create(connection, shared))
        began_s = time.monotonic()
        handles = [await open_source() for _ in range(_HANDLES)]
        async with AsyncExitStack() as stack:
            for handle in handles[:2]:
                await stack.enter_async_context(running(handle.relay(log=log)))
            await stack.enter_async_context(_watching(source, history))
            async with asyncio.timeout(_DEADLINE_S):
                await _until(lambda: bool(log.watermarks))  # whoever leads is at work by now
            await _write(handles, history, log)
            await _claimed_everything(source, log)
        took_s = time.monotonic() - began_s
        placed = await read_placed(source)
        checks = check_claims(placed, history, log.watermarks)
        check_published(placed, history)
        check_order(placed)
        epochs = {watermark.epoch for watermark in log.watermarks}
        if source.repeated_max is None:
            check_repeated(placed, log.unheard)
        else:
            assert len(placed) - history.events <= source.repeated_max * _STRIKES
        overtaken = await count_overtaken(source, placed) if source.keeps_events else None
        assert max(epochs) >= 1 + _STRIKES
        assert history.undone
        assert overtaken is None or bool(overtaken) is (source.overtakes and _overlap(source))
        print(  # noqa: T201
            f"{history.events} events in {took_s:.1f} s, {history.long_ones} long transactions, "
            f"{len(history.undone)} runs undone, {overtaken} events overtaken, "
            f"{len(placed) - history.events} repeated, {len(log.watermarks)} watermarks, "
            f"{checks} claims checked"
        )


def _overlap(source: Source) -> bool:
    """Tell whether transactions of the source that write are open at the same time."""
    return DatabaseCapability.CONCURRENT_WRITERS in source.database.capabilities


async def _write(handles: Sequence[Source], history: History, log: StruckLog) -> None:
    all_in = threading.Barrier(_WRITERS if _overlap(handles[0]) else 1)
    writers = [
        Writer(number, handles[number % _HANDLES], history, all_in) for number in range(_WRITERS)
    ]
    async with asyncio.timeout(_WRITING_S), asyncio.TaskGroup() as group:
        for writer in writers:
            group.create_task(writer.run())
        for share in range(1, _STRIKES + 1):
            await _until(lambda share=share: history.events * (_STRIKES + 1) >= EVENTS * share)  # type: ignore[misc]
            await log.strike()


@asynccontextmanager
async def _watching(source: Source, history: History) -> AsyncIterator[None]:
    """See again and again, in one snapshot, the tick and what is not published yet."""

    def look(connection: Connection) -> Seen:
        tick = current_tick(connection, source.tables.tick)
        return Seen(tick, source.waiting_runs(connection))

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
