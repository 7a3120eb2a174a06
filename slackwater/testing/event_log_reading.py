"""How the contract of the event log appends and reads: with deadlines, and nothing assumed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

import pytest

from slackwater.errors import SlackwaterError
from slackwater.event_log.port import (
    Assignment,
    EventLog,
    NewRecord,
    Record,
    Subscription,
    Topic,
    TopicPartition,
)
from slackwater.ids import new_id

DEADLINE_S = 20.0
POLL_TIMEOUT_MS = 50


class Follower:
    """A consumer that remembers what it was given, and goes on where `stored` says."""

    def __init__(
        self, subscription: Subscription, stored: dict[TopicPartition, int] | None = None
    ) -> None:
        self.subscription = subscription
        self.owned: frozenset[TopicPartition] = frozenset()
        self.assignments = 0
        self.records: list[Record] = []
        self._stored = {} if stored is None else stored

    async def step(self) -> None:
        polled = await self.subscription.poll(max_records=100, timeout_ms=POLL_TIMEOUT_MS)
        if isinstance(polled, Assignment):
            self.owned = polled.partitions
            self.assignments += 1
            await self.subscription.seek({at: self._stored.get(at, 0) for at in self.owned})
        else:
            self.records += polled
            self._stored |= {each.topic_partition: each.offset + 1 for each in polled}


async def until(followers: Sequence[Follower], condition: Callable[[], bool]) -> None:
    """Let all followers consume until the condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.gather(*(follower.step() for follower in followers))


async def two_members(
    first: EventLog, second: EventLog, topic: str, *, group: str | None = None
) -> list[Follower]:
    group = group or new_id()
    members = [Follower(await log.subscribe([topic], group=group)) for log in (first, second)]
    await until(members, lambda: all(len(member.owned) == 2 for member in members))
    return members


async def close_all(followers: Sequence[Follower]) -> None:
    for follower in followers:
        await follower.subscription.close()


def numbers_of(followers: Sequence[Follower]) -> set[bytes]:
    return {record.value for follower in followers for record in follower.records}


async def new_topic(
    log: EventLog,
    *,
    partitions: int = 4,
    retention_records: int | None = None,
    keeps_newest: bool = False,
) -> str:
    topic = Topic(
        name=f"contract.{new_id()}",
        partitions=partitions,
        retention_records=retention_records,
        keeps_newest=keeps_newest,
    )
    await log.create_topics([topic])
    return topic.name


def new_records(topic: str, count: int, *, first: int = 0) -> list[NewRecord]:
    return [
        NewRecord(topic=topic, key=f"key {n % 13}", value=b"%d" % n)
        for n in range(first, first + count)
    ]


def partitions_of(topic: str, count: int = 4) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition(topic, partition) for partition in range(count))


def by_partition(records: Sequence[Record]) -> dict[TopicPartition, list[Record]]:
    grouped: dict[TopicPartition, list[Record]] = defaultdict(list)
    for record in records:
        grouped[record.topic_partition].append(record)
    return grouped


async def next_assignment(subscription: Subscription) -> frozenset[TopicPartition]:
    async with asyncio.timeout(DEADLINE_S):
        while not (polled := await subscription.poll(max_records=1, timeout_ms=1_000)):
            pass
    assert isinstance(polled, Assignment)
    return polled.partitions


async def open_reader(
    log: EventLog,
    *topics: str,
    group: str | None = None,
    positions: dict[TopicPartition, int] | None = None,
) -> Subscription:
    subscription = await log.subscribe(topics, group=group)
    await next_assignment(subscription)
    await subscription.seek(positions or {})
    return subscription


async def poll_records(
    subscription: Subscription, *, max_records: int = 100, timeout_ms: int = POLL_TIMEOUT_MS
) -> Sequence[Record]:
    polled = await subscription.poll(max_records=max_records, timeout_ms=timeout_ms)
    assert not isinstance(polled, Assignment)
    return polled


async def poll_one(subscription: Subscription) -> Record:
    async with asyncio.timeout(DEADLINE_S):
        while not (records := await poll_records(subscription, max_records=1)):
            pass
    return records[0]


async def refused(subscription: Subscription, error: type[SlackwaterError]) -> None:
    """Poll until the error is raised."""
    with pytest.raises(error, match="rebuild"):
        await collect_until(subscription, lambda _: False)


async def collect(
    subscription: Subscription, count: int, *, max_records: int = 100
) -> list[Record]:
    records: list[Record] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(records) < count:
            records += await poll_records(subscription, max_records=max_records)
    assert len(records) == count
    return records


async def collect_until(
    subscription: Subscription, is_last: Callable[[Record], bool]
) -> list[Record]:
    records: list[Record] = []
    async with asyncio.timeout(DEADLINE_S):
        while not (records and is_last(records[-1])):
            records += await poll_records(subscription)
    return records


async def read_all(log: EventLog, *topics: str) -> list[Record]:
    ends = await log.end_offsets(topics)
    subscription = await open_reader(log, *topics)
    try:
        return await collect(subscription, sum(ends.values()))
    finally:
        await subscription.close()
