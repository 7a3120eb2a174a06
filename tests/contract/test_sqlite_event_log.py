"""The embedded event log keeps the contract, and what an SQLite file adds to it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import cast

import pytest

from slackwater.event_log.errors import (
    LostRetentionError,
)
from slackwater.event_log.groups import open_groups
from slackwater.event_log.member import Member
from slackwater.event_log.new_file import create_file
from slackwater.event_log.port import (
    Assignment,
    EventLog,
    NewRecord,
    Record,
    Subscription,
    Topic,
    TopicPartition,
)
from slackwater.event_log.sqlite import SqliteEventLog
from slackwater.event_log.sqlite_subscription import SqliteSubscription
from slackwater.event_log.topic_file import Fetch, TopicFile, path_of
from slackwater.sockets_doorbell import SocketDoorbell
from slackwater.sqlite.driver import Connection, connect
from slackwater.testing.doorbell import LocalDoorbell
from slackwater.testing.event_log_contract import EventLogContract

DEADLINE_S = 30.0
AT = TopicPartition("t", 0)

IN_ANOTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from slackwater.event_log.port import *
from slackwater.event_log.sqlite import SqliteEventLog
from slackwater.sockets_doorbell import SocketDoorbell
async def main(directory, work):
    doorbell = SocketDoorbell(directory)
    log = SqliteEventLog(directory, doorbell)
    await work(log)
    await log.close()
    doorbell.close()
"""
OPENING = """
from contextlib import asynccontextmanager, closing
from pathlib import Path
from slackwater.event_log.sqlite import SqliteEventLog
from slackwater.sockets_doorbell import SocketDoorbell
@asynccontextmanager
async def opened():
    with closing(SocketDoorbell(Path({directory!r}))) as doorbell:
        log = SqliteEventLog(Path({directory!r}), doorbell)
        yield log
        await log.close()
"""
APPEND = """
async def work(log):
    for n in range(100):
        await log.append([NewRecord(topic="t", key="k", value=b"%d" % n)])
"""
BECOME_A_MEMBER = """
async def work(log):
    subscription = await log.subscribe(["t"], group="g")
    while True:
        polled = await subscription.poll(max_records=10, timeout_ms=1000)
        if isinstance(polled, Assignment):
            print(len(polled.partitions), flush=True)
            await subscription.seek({})
"""


@asynccontextmanager
async def opened(directory: Path, clock: Clock | None = None) -> AsyncIterator[SqliteEventLog]:
    with closing(SocketDoorbell(directory)) as doorbell:
        log = (
            SqliteEventLog(directory, doorbell, monotonic_ns=clock.read)
            if clock
            else SqliteEventLog(directory, doorbell)
        )
        yield log
        await log.close()


class TestSqliteEventLog(EventLogContract):
    adapter = SqliteEventLog

    @asynccontextmanager
    async def open_log(self, directory: Path) -> AsyncIterator[EventLog]:
        async with opened(directory) as log:
            yield log

    def opening(self, directory: Path) -> str:
        return OPENING.format(directory=str(directory))

    async def trim(self, log: EventLog, topic: str) -> None:
        await log.create_topics([Topic(name=topic, partitions=1, retention_records=50)])
        await log.append([NewRecord(topic=topic, key="k", value=b"")])

    async def die(self, subscription: Subscription) -> None:
        await cast("Member", cast("SqliteSubscription", subscription)._owner).stop()


class Clock:
    """A monotonic clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def read(self) -> int:
        return self.ms * 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def log(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteEventLog]:
    """A log with the topic `t` of one partition, and leases on the manual clock."""
    async with opened(tmp_path, clock) as log:
        await log.create_topics([Topic(name="t", partitions=1)])
        yield log


def program(work: str) -> list[str]:
    run = "asyncio.run(main(Path(sys.argv[1]), work))"
    return [sys.executable, "-c", f"{IN_ANOTHER_PROCESS}\n{work}\n{run}"]


def new_records(count: int) -> list[NewRecord]:
    return [NewRecord(topic="t", key="k", value=b"%d" % n) for n in range(count)]


async def sought(subscription: Subscription, position: int = 0) -> Subscription:
    await assignment(subscription)
    await subscription.seek({AT: position})
    return subscription


async def assignment(subscription: Subscription) -> frozenset[TopicPartition]:
    async with asyncio.timeout(DEADLINE_S):
        while not (polled := await subscription.poll(max_records=10, timeout_ms=100)):
            pass
    assert isinstance(polled, Assignment)
    return polled.partitions


async def collect(subscription: Subscription, count: int) -> list[Record]:
    records: list[Record] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(records) < count:
            polled = await subscription.poll(max_records=10, timeout_ms=100)
            assert not isinstance(polled, Assignment)
            records += polled
    return records


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the write lock of a file, as a stuck process would."""
    with closing(connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def test_a_reader_sees_what_another_process_appends(
    log: SqliteEventLog, tmp_path: Path
) -> None:
    subscription = await sought(await log.subscribe(["t"], group=None))
    command = [*program(APPEND), str(tmp_path)]
    appending = asyncio.create_task(asyncio.to_thread(subprocess.run, command, check=True))
    records = await collect(subscription, 100)
    assert [int(record.value) for record in records] == list(range(100))
    await appending
    await subscription.close()


async def test_an_append_rings_the_bell_of_its_topic(log: SqliteEventLog, tmp_path: Path) -> None:
    with closing(SocketDoorbell(tmp_path)) as doorbell:
        listener = doorbell.listen("log/t")
        await log.append(new_records(1))
        assert await listener.wait(timeout_ms=0)


async def test_the_bell_alone_wakes_a_poll(
    log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slackwater.event_log.sqlite_subscription._LOOK_INTERVAL_MS", 60_000)
    subscription = await sought(await log.subscribe(["t"], group=None))
    assert await subscription.poll(max_records=10, timeout_ms=50) == []
    poll = asyncio.create_task(subscription.poll(max_records=10, timeout_ms=60_000))
    await asyncio.sleep(0)
    await log.append(new_records(1))
    async with asyncio.timeout(DEADLINE_S):
        assert len(cast("list[Record]", await poll)) == 1
    await subscription.close()


async def test_a_bell_that_is_not_heard_only_costs_time(
    log: SqliteEventLog, tmp_path: Path
) -> None:
    with closing(LocalDoorbell()) as deaf:
        reading = SqliteEventLog(tmp_path, deaf)
        subscription = await sought(await reading.subscribe(["t"], group=None))
        poll = asyncio.create_task(subscription.poll(max_records=10, timeout_ms=60_000))
        await log.append(new_records(1))
        async with asyncio.timeout(DEADLINE_S):
            assert len(cast("list[Record]", await poll)) == 1
        await subscription.close()
        await reading.close()


async def test_a_killed_process_is_replaced_when_its_lease_lapses(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        await log.create_topics([Topic(name="t", partitions=1)])
        command = [*program(BECOME_A_MEMBER), str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert await asyncio.to_thread(process.stdout.readline) == b"1\n"
                subscription = await log.subscribe(["t"], group="g")
                assert await assignment(subscription) == frozenset()
            finally:
                process.kill()
        assert await assignment(subscription) == {AT}
        await subscription.close()


async def test_every_commit_of_the_log_waits_for_the_disk(
    log: SqliteEventLog, tmp_path: Path
) -> None:
    [file] = (await log._open(["t"])).values()
    synchronous = await file._file.write(
        lambda connection: connection.execute("PRAGMA synchronous").fetchone()
    )
    with closing(connect(path_of(tmp_path, "t"))) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert synchronous == (2,)


async def test_leases_stand_still_with_the_clock_and_lapse_with_it(
    log: SqliteEventLog, tmp_path: Path, clock: Clock
) -> None:
    subscription = await sought(await log.subscribe(["t"], group="g"))
    with locked(tmp_path / "groups.sqlite"):
        await log.append(new_records(1))
        assert len(await collect(subscription, 1)) == 1
        clock.ms += 3_000
        await log.append(new_records(1))
        assert await subscription.poll(max_records=10, timeout_ms=200) == []
    assert await assignment(subscription) == {AT}
    assert await subscription.poll(max_records=10, timeout_ms=200) == []
    await subscription.seek({AT: 1})
    assert [record.offset for record in await collect(subscription, 1)] == [1]
    await subscription.close()


async def test_a_reboot_ends_every_lease(log: SqliteEventLog, tmp_path: Path, clock: Clock) -> None:
    dead = await log.subscribe(["t"], group="g")
    await cast("Member", dead._owner).stop()
    with closing(connect(tmp_path / "groups.sqlite")) as connection:
        connection.execute("UPDATE members SET boot_id = 'the boot before'")
    subscription = await log.subscribe(["t"], group="g")
    assert await assignment(subscription) == {AT}
    await subscription.close()
    await dead.close()


async def test_partitions_are_handed_over_only_after_the_batch_in_hand(
    log: SqliteEventLog, clock: Clock
) -> None:
    await log.create_topics([Topic(name="two", partitions=2)])
    first = await log.subscribe(["two"], group="g")
    assert len(await assignment(first)) == 2
    second = await log.subscribe(["two"], group="g")
    assert await second.poll(max_records=10, timeout_ms=700) == []
    assert {len(one) for one in await asyncio.gather(assignment(first), assignment(second))} == {1}
    await first.close()
    await second.close()


async def test_a_member_that_does_not_poll_is_waited_for_no_longer_than_a_lease(
    log: SqliteEventLog, clock: Clock
) -> None:
    await log.create_topics([Topic(name="two", partitions=2)])
    first = await log.subscribe(["two"], group="g")
    await assignment(first)
    second = await log.subscribe(["two"], group="g")
    for _ in range(10):  # heartbeats go on, but the first never lets go
        clock.ms += 300
        await asyncio.gather(*(cast("Member", each._owner)._attend() for each in (first, second)))
    assert len(await assignment(second)) == 1
    await first.close()
    await second.close()


async def test_leaving_needs_no_lease_to_lapse(log: SqliteEventLog, clock: Clock) -> None:
    first = await log.subscribe(["t"], group="g")
    assert await assignment(first) == {AT}
    second = await log.subscribe(["t"], group="g")
    await asyncio.gather(assignment(first), assignment(second))
    await first.close()
    assert await assignment(second) == {AT}
    await second.close()


async def test_records_read_while_the_share_changed_are_not_returned(
    log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.append(new_records(1))
    subscription = await sought(await log.subscribe(["t"], group="g"))
    fetch, joined = TopicFile.fetch, list[Subscription]()

    async def fetch_slowly(
        file: TopicFile, fetches: Sequence[Fetch], *, oldest_at_zero: bool
    ) -> list[Record]:
        records = await fetch(file, fetches, oldest_at_zero=oldest_at_zero)
        joined.append(await joining.subscribe(["t"], group="g"))
        await cast("Member", cast("SqliteSubscription", subscription)._owner)._attend()
        return records

    async with opened(log._directory, Clock()) as joining:
        monkeypatch.setattr(TopicFile, "fetch", fetch_slowly)
        assert await subscription.poll(max_records=10, timeout_ms=0) == []
        await joined.pop().close()
        await subscription.close()


def test_of_two_that_create_a_file_at_once_the_first_wins(tmp_path: Path) -> None:
    def build(connection: Connection) -> None:
        connection.execute("CREATE TABLE slower (a)")
        create_file(tmp_path / "f", lambda other: other.execute("CREATE TABLE faster (a)").close())

    create_file(tmp_path / "f", build)
    with closing(connect(tmp_path / "f")) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("faster",)]
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


async def test_an_expired_member_raises_the_generation_once(tmp_path: Path, clock: Clock) -> None:
    groups = await open_groups(tmp_path / "groups.sqlite", lease_ms=3_000, monotonic_ns=clock.read)
    for _ in range(3):
        joined = await groups.attend("g", ["t"], member=None, let_go=0)
    clock.ms += 2_999
    kept = await groups.attend("g", ["t"], member=joined.member, let_go=0)
    assert (kept.generation, len(kept.members)) == (joined.generation, 3)
    clock.ms += 1
    for _ in range(2):
        alone = await groups.attend("g", ["t"], member=joined.member, let_go=0)
        assert (alone.generation, len(alone.members)) == (joined.generation + 1, 1)
    await groups.close()


async def test_small_batches_go_round_the_partitions(log: SqliteEventLog) -> None:
    await log.create_topics([Topic(name="four", partitions=4)])
    await log.append(
        [NewRecord(topic="four", key=str(n), value=b"") for n in range(100) for _ in range(2)]
    )
    subscription = await log.subscribe(["four"], group=None)
    await assignment(subscription)
    await subscription.seek({})
    polled = [await subscription.poll(max_records=1, timeout_ms=0) for _ in range(8)]
    rounds = [record.partition for [record] in cast("list[list[Record]]", polled)]
    assert sorted(rounds[:4]) == sorted(rounds[4:]) == [0, 1, 2, 3]
    await subscription.close()


async def test_retention_bounds_the_records_and_says_what_was_lost(log: SqliteEventLog) -> None:
    await log.create_topics([Topic(name="t", partitions=1, retention_records=80)])
    for _ in range(30):
        await log.append(new_records(10))
    [file] = (await log._open(["t"])).values()
    bounds = (await file.bounds())[0]
    assert 70 <= bounds.end - bounds.oldest <= 80
    subscription = await sought(await log.subscribe(["t"], group="g"), bounds.oldest - 1)
    with pytest.raises(LostRetentionError, match="rebuild"):
        await subscription.poll(max_records=10, timeout_ms=0)
    await subscription.seek({AT: bounds.oldest})
    assert (await collect(subscription, 10))[0].offset == bounds.oldest
    await subscription.close()


async def test_a_position_of_0_is_lost_for_a_group_and_the_oldest_without_one(
    log: SqliteEventLog,
) -> None:
    await log.create_topics([Topic(name="t", partitions=1, retention_records=8)])
    await log.append(new_records(100))
    free = await sought(await log.subscribe(["t"], group=None))
    assert [record.offset for record in await collect(free, 7)] == list(range(93, 100))
    member = await sought(await log.subscribe(["t"], group="g"))
    with pytest.raises(LostRetentionError):
        await member.poll(max_records=10, timeout_ms=0)
    await free.close()
    await member.close()


async def test_any_text_names_a_topic_and_stays_in_the_folder(
    log: SqliteEventLog, tmp_path: Path
) -> None:
    names = ["../up", "/root", ".", "..", "a/b", "a%2Fb", "ü" * 100, "ü" * 101, "", "A", "a"]
    await log.create_topics([Topic(name=name, partitions=1) for name in names])
    for n, name in enumerate(names, start=1):
        await log.append([NewRecord(topic=name, key="k", value=b"")] * n)
    ends = await log.end_offsets(names)
    assert [ends[TopicPartition(name, 0)] for name in names] == list(range(1, len(names) + 1))
    assert {path.parent for path in tmp_path.rglob("topic-*")} == {tmp_path}


async def test_closing_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    async with opened(tmp_path) as log:
        await log.create_topics([Topic(name="t")])
        await log.append(new_records(1))
        subscription = await sought(await log.subscribe(["t"], group="g"))
        await subscription.close()
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {name for name in left if name.startswith(("write", "read"))}
