"""The contract of every source of events, however it publishes: outbox, mined log, event store.

Whatever is committed is published, at least once and in the order of each aggregate; what was
rolled back never is; a transaction that stays open holds up nobody; a claim is true whoever dies,
and a death repeats a batch at most.

By hand `SOURCE_OPEN_S=60` leaves a transaction open for a minute; `SOURCE_KILLS=50` kills often.

Subclass `EventSourceContract` beside `RelayWritersContract` and `RelayLineageContract`; a
`source_type` of your own says by what its events leave and what relays them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import time
from asyncio.subprocess import Process
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from slackwater.database.port import DatabaseCapability
from slackwater.errors import TransientError
from slackwater.event_log.port import EventLog, NewRecord, TopicPartition
from slackwater.testing import counting
from slackwater.testing.claims import Guarantee, holds, needs
from slackwater.testing.relay_contract import (
    LogAround,
    Source,
    SourceContract,
    has_events,
    has_events_among,
    has_watermarks,
    in_flight,
    running,
    until,
)

_KILLS = int(os.environ.get("SOURCE_KILLS", "3"))
_OPEN_S = float(os.environ.get("SOURCE_OPEN_S", "0"))
_REPEATED_MAX = 500
_PAUSE_S = 0.01  # reading the log back shall not take longer than what is tested


class EventSourceContract(SourceContract):
    """What every source of events keeps; the test names are the contract."""

    @holds(Guarantee.ORDER)
    async def test_every_commit_is_published_once_and_in_the_order_of_its_aggregate(
        self, source: Source, other: Source
    ) -> None:
        async with running(source.relay()):
            await until(lambda: has_watermarks(source))
            await asyncio.gather(
                *(
                    each.raise_counter(f"c{number % 7}")
                    for number in range(70)
                    for each in (source, other)
                )
            )
            await until(lambda: has_events(source, 140))
        await _check(source, events=140, repeated_max=0)

    @holds(Guarantee.ORDER)
    async def test_what_was_committed_before_any_relay_ran_is_published_first(
        self, source: Source
    ) -> None:
        for _ in range(5):
            await source.raise_counter("c1")
        async with running(source.relay()):
            await source.raise_counter("c1")
            await until(lambda: has_events(source, 6))
        await _check(source, events=6, repeated_max=0)

    async def test_a_transaction_of_very_many_events_comes_whole(self, source: Source) -> None:
        def raise_often(connection: Connection) -> None:
            for number in range(1_100):
                source.raise_in(connection, f"c{number % 3}")

        async with running(source.relay()):
            await source.database.transact(raise_often)
            await until(lambda: has_events(source, 1_100))
        await _check(source, events=1_100, repeated_max=0)

    @holds(Guarantee.ATOMICITY)
    async def test_rolled_back_work_never_appears(self, source: Source) -> None:
        def fails(connection: Connection) -> None:
            source.raise_in(connection, "undone")
            raise ValueError("on purpose")

        async with running(source.relay()):
            with pytest.raises(ValueError, match="on purpose"):
                await source.database.transact(fails)
            await source.raise_counter("c1")
            await _claimed(source)
        assert [event.aggregate_id for event in await source.events()] == ["c1"]

    @holds(Guarantee.DELIVERY)
    @needs(DatabaseCapability.CONCURRENT_WRITERS)
    @pytest.mark.timeout(120 + 2 * _OPEN_S)
    async def test_a_transaction_that_stays_open_holds_up_nobody_and_is_not_skipped(
        self, source: Source, other: Source
    ) -> None:
        delays_s: list[float] = []
        async with running(source.relay()):
            await until(lambda: has_watermarks(source))
            async with in_flight(
                other, lambda connection: other.raise_in(connection, "early"), open_s=_OPEN_S
            ):
                open_until_s = time.monotonic() + _OPEN_S
                while len(delays_s) < 20 or time.monotonic() < open_until_s:
                    delays_s.append(await _delay_s(source, published=len(delays_s)))
                await _claimed(source)
                assert {event.aggregate_id for event in await source.events()} == {"late"}
            await until(lambda: has_events(source, len(delays_s) + 1))
            await _claimed(source)
        await _check(source, events=len(delays_s) + 1, repeated_max=0)
        median, largest = statistics.median(delays_s), max(delays_s)
        told = f"{len(delays_s)} others: {median * 1000:.0f} ms, {largest * 1000:.0f} at most"
        print(f"\n{told}")  # noqa: T201 - by hand it says what a longer one costs

    @holds(Guarantee.WATERMARKS)
    async def test_a_claim_covers_everything_visible_before_its_tick(self, source: Source) -> None:
        async with running(source.relay()):
            for number in range(5):
                await source.raise_counter(f"c{number}")
                await _claimed(source)
                ends = await source.log.end_offsets([counting.COUNTERS.name])
                assert sum(ends.values()) == number + 1
                claim = (await source.watermarks())[-1]
                assert claim.is_reached_by(ends, [counting.COUNTERS.name])
                one_less = {**ends, max(ends, key=ends.__getitem__): max(ends.values()) - 1}
                assert not claim.is_reached_by(one_less, [counting.COUNTERS.name])

    async def test_an_idle_source_goes_on_claiming(self, source: Source) -> None:
        async with running(source.relay(heartbeat_ms=20)):
            await until(lambda: has_watermarks(source, 5))
        ticks = [watermark.tick for watermark in await source.watermarks()]
        assert ticks == sorted(set(ticks))

    @holds(Guarantee.DURABILITY)
    @pytest.mark.parametrize("moment", ["append", "acknowledgement", "claim", "claimed"])
    async def test_a_leader_that_fails_between_any_two_steps_loses_nothing(
        self, source: Source, moment: str
    ) -> None:
        failing = _FailingLog(source.log, moment)
        async with running(source.relay(log=failing)):
            await until(lambda: has_watermarks(source))
            failing.is_armed = True
            for number in range(50):
                await source.raise_counter(f"c{number % 5}")
            await until(lambda: has_events(source, 50))
            await _claimed(source)
        assert failing.has_failed
        await _check(source, events=50, repeated_max=_REPEATED_MAX, deaths=1)

    @holds(Guarantee.DURABILITY)
    @pytest.mark.timeout(60 + 10 * _KILLS)
    async def test_a_relay_killed_again_and_again_loses_nothing_and_repeats_little(
        self, source: Source, tmp_path: Path
    ) -> None:
        counts = defaultdict[str, int](int)

        async def write() -> None:
            while True:
                counts["committed"] += 1
                await source.raise_counter(f"c{counts['committed'] % 5}")
                await asyncio.sleep(_PAUSE_S)

        writing = asyncio.create_task(write())
        for _ in range(_KILLS):
            async with self._relaying(tmp_path) as process:
                before = await _end(source)
                await until(lambda before=before: _has_grown(source, before + 20))  # type: ignore[misc]
                process.send_signal(signal.SIGKILL)
        writing.cancel()
        await asyncio.wait([writing])
        async with running(source.relay()):
            await _claimed(source)
        events = {event.id for event in await source.events()}
        assert len(events) in (
            counts["committed"],
            counts["committed"] - 1,
        )  # the last one may be undone
        await _check(source, events=len(events), repeated_max=_KILLS * _REPEATED_MAX, deaths=_KILLS)

    @asynccontextmanager
    async def _relaying(self, directory: Path) -> AsyncIterator[Process]:
        program = self.relaying_program(directory)
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


class _FailingLog(LogAround):
    """Fails once at a moment of a leader's round: the log is away, or was not heard."""

    def __init__(self, log: EventLog, moment: str) -> None:
        super().__init__(log)
        self._moment = moment
        self.is_armed = False
        self.has_seen_events = False
        self.has_failed = False

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        of_events = has_events_among(records)
        self._fail_at("append" if of_events else "claim")
        appended = await super().append(records)
        self._fail_at("acknowledgement" if of_events else "claimed")
        return appended

    def _fail_at(self, moment: str) -> None:
        self.has_seen_events |= self.is_armed and moment == "acknowledgement"
        is_due = self.is_armed and (self.has_seen_events or moment == "append")
        if is_due and not self.has_failed and moment == self._moment:
            self.has_failed = True
            raise TransientError(f"the log failed at the {moment}")


async def _end(source: Source) -> int:
    """Return how many records of events the log has; cheap, where reading them all is not."""
    return sum((await source.log.end_offsets([counting.COUNTERS.name])).values())


async def _has_grown(source: Source, count: int) -> bool:
    return await _end(source) >= count


async def _delay_s(source: Source, *, published: int) -> float:
    """Commit one more event, and return how long it takes until the log has it."""
    await source.raise_counter("late")
    committed_s = time.monotonic()
    source.ring()
    await until(lambda: _has_grown(source, published + 1))
    delay_s = time.monotonic() - committed_s
    await asyncio.sleep(_PAUSE_S)
    return delay_s


async def _claimed(source: Source) -> None:
    """Wait until everything that is visible now has been claimed."""
    tick = await source.tick()

    async def is_claimed() -> bool:
        watermarks = await source.watermarks()
        return bool(watermarks) and watermarks[-1].tick > tick

    await until(is_claimed)


async def _check(source: Source, *, events: int, repeated_max: int, deaths: int = 0) -> None:
    """So many events are there, each aggregate's in order, and few again: once a death at most."""
    published = await source.events()
    firsts = {event.id: event for event in reversed(published)}
    assert len(firsts) == events
    assert len(published) - events <= repeated_max
    assert max(Counter(event.id for event in published).values()) <= 1 + deaths
    versions = defaultdict[str, list[int]](list)
    seen: set[str] = set()
    for event in published:
        if event.id not in seen:
            seen.add(event.id)
            versions[event.aggregate_id].append(event.version)
    for found in versions.values():
        assert found == list(range(1, len(found) + 1))
