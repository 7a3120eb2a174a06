"""The consumer runner on the embedded log: what passes is retried, what does not halts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from slackwater.clock import SystemClock
from slackwater.consumer.runner import ConsumerRunner
from slackwater.errors import (
    FencedError,
    PoisonousEventError,
    SlackwaterError,
    StructuralError,
    TransientError,
)
from slackwater.event_log.port import EventLog, NewRecord, Record, Topic, TopicPartition
from slackwater.event_log.sqlite import SqliteEventLog
from slackwater.event_log.sqlite_subscription import SqliteSubscription
from slackwater.testing.doorbell import LocalDoorbell
from slackwater.watermarks.follower import follow_watermarks
from slackwater.watermarks.record import WATERMARKS, Watermark

TOPIC = Topic(name="things", partitions=1)
DEADLINE_S = 10


class Handler:
    """Keeps what it was handed; raises what it was told to, once each."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.handled: list[bytes] = []
        self.assignments = 0
        self.looks: list[Exception | None] = []
        self.reason = ""
        self.changed = asyncio.Event()

    async def assigned(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        self.assignments += 1
        return dict.fromkeys(partitions, len(self.handled))

    async def handle(self, records: Sequence[Record]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.handled += [record.value for record in records]
        self.changed.set()

    async def idle(self) -> None:
        """Find what is next of `looks`."""
        self.changed.set()
        if self.looks and (found := self.looks.pop(0)) is not None:
            raise found

    async def halted(self, reason: str) -> None:
        self.reason = reason
        self.changed.set()


class TroubledLog(SqliteEventLog):
    """Its first subscription and the first poll of the next one fail, as when the disk is full."""

    failed_subscribing = False

    async def subscribe(self, topics: Sequence[str], *, group: str | None) -> SqliteSubscription:
        if not self.failed_subscribing:
            self.failed_subscribing = True
            raise TransientError("no room to join; free some")
        subscription = await super().subscribe(topics, group=group)
        return _first_polled(subscription, TransientError("no room to read; free some"))


class SlowlyJoinedLog(SqliteEventLog):
    """A member of its groups is assigned nothing before its second poll."""

    async def subscribe(self, topics: Sequence[str], *, group: str | None) -> SqliteSubscription:
        return _first_polled(await super().subscribe(topics, group=group), None)


def _first_polled(subscription: SqliteSubscription, error: Exception | None) -> SqliteSubscription:
    """Return a subscription whose first poll fails, or brings nothing."""
    poll, has_polled = subscription.poll, False

    async def poll_after_the_first(*, max_records: int, timeout_ms: int) -> object:
        nonlocal has_polled
        if has_polled:
            return await poll(max_records=max_records, timeout_ms=timeout_ms)
        has_polled = True
        if error is not None:
            raise error
        return []

    # A subscription is the log's own, so its poll is replaced and not its class.
    subscription.poll = poll_after_the_first  # type: ignore[method-assign,assignment]
    return subscription


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteEventLog]:
    log = SqliteEventLog(tmp_path / "log", LocalDoorbell())
    await log.create_topics([TOPIC])
    yield log
    await log.close()


@asynccontextmanager
async def consuming(log: EventLog, handler: Handler) -> AsyncIterator[None]:
    runner = ConsumerRunner("group", topics=[TOPIC.name], log=log, handler=handler)
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            await handler.changed.wait()
            yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def record(value: bytes) -> NewRecord:
    return NewRecord(topic=TOPIC.name, key="key", value=value)


async def test_trouble_of_the_log_that_passes_is_outlived(tmp_path: Path) -> None:
    log = TroubledLog(tmp_path / "log", LocalDoorbell())
    await log.create_topics([TOPIC])
    await log.append([record(b"1")])
    handler = Handler()
    async with consuming(log, handler):
        assert handler.handled == [b"1"]
    await log.close()


async def test_trouble_of_the_handler_that_passes_is_outlived(log: SqliteEventLog) -> None:
    await log.append([record(b"1")])
    handler = Handler(TransientError("busy; again"), TransientError("busy; again"))
    async with consuming(log, handler):
        assert handler.handled == [b"1"]


async def test_what_stands_before_a_poisonous_event_is_handled(log: SqliteEventLog) -> None:
    await log.append([record(b"1"), record(b"poison"), record(b"3")])

    class Refusing(Handler):
        async def handle(self, records: Sequence[Record]) -> None:
            if any(each.value == b"poison" for each in records):
                raise PoisonousEventError("poison; mend it")
            self.handled += [each.value for each in records]

    handler = Refusing()
    async with consuming(log, handler):
        assert (handler.handled, handler.reason) == ([b"1"], "poison; mend it")


async def test_an_error_of_no_known_kind_halts_visibly(log: SqliteEventLog) -> None:
    await log.append([record(b"1")])
    handler = Handler(SlackwaterError("something else; look into it"))
    async with consuming(log, handler):
        assert handler.reason == "something else; look into it"


class GatedLog(SqliteEventLog):
    """Its readers poll only while the gate is open, as in a process that is paused meanwhile."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, LocalDoorbell())
        self.gate = asyncio.Event()
        self.gate.set()

    async def subscribe(self, topics: Sequence[str], *, group: str | None) -> SqliteSubscription:
        subscription = await super().subscribe(topics, group=group)
        poll = subscription.poll

        async def poll_gated(*, max_records: int, timeout_ms: int) -> object:
            await self.gate.wait()
            return await poll(max_records=max_records, timeout_ms=min(timeout_ms, 10))

        subscription.poll = poll_gated  # type: ignore[method-assign,assignment]
        return subscription


async def test_watermarks_trimmed_before_they_were_read_are_skipped(tmp_path: Path) -> None:
    log = GatedLog(tmp_path / "log")
    await log.create_topics([replace(WATERMARKS, retention_records=16)])
    seen: list[int] = []

    def take(watermarks: Sequence[Watermark]) -> None:
        log.gate.clear()
        seen.extend(watermark.n for watermark in watermarks)

    await log.append([_watermark(1)])
    following = asyncio.create_task(follow_watermarks(log, take))
    async with asyncio.timeout(DEADLINE_S):
        await _until(lambda: seen == [1])
        for n in range(2, 201):
            await log.append([_watermark(n)])
        log.gate.set()
        await _until(lambda: seen[-1] == 200)
    assert len(seen) <= 17, "nothing was trimmed, so this test shows nothing"
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await log.close()


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)


def _watermark(n: int) -> NewRecord:
    clock = SystemClock().now()
    return Watermark(source="s", epoch=1, n=n, clock=clock, offsets={"t": [0]}).to_record()


async def test_while_nothing_comes_the_handler_looks_and_rejoins_where_it_was_put_back(
    log: SqliteEventLog,
) -> None:
    await log.append([record(b"1")])
    handler = Handler()
    handler.looks = [None, TransientError("away"), FencedError("put back")]
    async with consuming(log, handler):
        while handler.looks or handler.assignments < 2:
            handler.changed.clear()
            await handler.changed.wait()
    assert handler.handled == [b"1"]
    assert not handler.reason


async def test_what_a_look_finds_that_no_retry_helps_against_halts(log: SqliteEventLog) -> None:
    handler = Handler()
    handler.looks = [StructuralError("lost")]
    async with consuming(log, handler):
        while not handler.reason:
            handler.changed.clear()
            await handler.changed.wait()
    assert handler.reason == "lost"


async def test_nobody_looks_before_partitions_are_assigned_anew(tmp_path: Path) -> None:
    """The handler knows yet what it had before, and would find that put back again and again."""
    log = SlowlyJoinedLog(tmp_path / "log", LocalDoorbell())
    await log.create_topics([TOPIC])
    handler = Handler()
    handler.looks = [FencedError("put back"), FencedError("put back")]
    async with consuming(log, handler):
        while handler.looks:
            handler.changed.clear()
            await handler.changed.wait()
    assert handler.assignments == 2
    await log.close()
