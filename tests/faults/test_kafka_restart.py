"""A broker is killed and started again under load: nothing acknowledged is lost or reordered.

What `test_kill_on_engines` cannot see is seen here: each record's place, and how long an append
takes to fail while nobody answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from slackwater.errors import TransientError
from slackwater.event_log.kafka import KafkaEventLog
from slackwater.event_log.kafka_driver import KafkaCluster
from slackwater.event_log.port import NewRecord, TopicPartition
from slackwater.ids import new_id
from slackwater.testing.event_log_reading import Follower, close_all, new_topic
from tests.engines import on_all_engines
from tests.faults.own_engines import OwnEngines

KEYS = [f"key {n}" for n in range(5)]
APPEND_TIMEOUT_MS = 3_000
CAUGHT_UP_DEADLINE_S = 60

pytestmark = [
    *on_all_engines(),
    pytest.mark.slow,
    pytest.mark.timeout(420),
]


class Writer:
    """Appends numbers to each key, each as often as it takes."""

    def __init__(self, log: KafkaEventLog, topic: str) -> None:
        self._log = log
        self._topic = topic
        self.rounds = 0
        self.failures = 0
        self.longest_s = 0.0
        self.places: dict[tuple[TopicPartition, int], tuple[str, int]] = {}

    async def run(self) -> None:
        while True:
            await self._append_round()
            self.rounds += 1
            await asyncio.sleep(0.005)

    async def _append_round(self) -> None:
        expected = [(key, 2 * self.rounds + n) for key in KEYS for n in range(2)]
        records = [
            NewRecord(topic=self._topic, key=key, value=b"%d" % number) for key, number in expected
        ]
        while True:
            began_s = time.monotonic()
            try:
                places = await self._log.append(records)
            except TransientError:
                self.failures += 1
                await asyncio.sleep(0.05)
            else:
                self.places.update(zip(places, expected, strict=True))
                return
            finally:
                self.longest_s = max(self.longest_s, time.monotonic() - began_s)


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[KafkaEventLog]:
    cluster = KafkaCluster(bootstrap_servers=address, request_timeout_ms=2_000)
    log = KafkaEventLog(cluster, append_timeout_ms=APPEND_TIMEOUT_MS)
    yield log
    async with log._topics._admin("cleaning up") as admin:
        await admin.delete_topics(list(log._topics._partitions))
    await log.close()


async def test_a_killed_broker_loses_and_reorders_nothing(own_engines: OwnEngines) -> None:
    async with opened(own_engines.settings()["SLACKWATER_KAFKA_URL"]) as log:
        topic = await new_topic(log)
        followers = [
            Follower(await log.subscribe([topic], group=group)) for group in (None, new_id())
        ]
        writer = Writer(log, topic)
        running = [asyncio.create_task(consume(follower)) for follower in followers]
        running.append(asyncio.create_task(writer.run()))
        await rounds_later(writer, 50, running)
        own_engines.kill("kafka")
        await asyncio.to_thread(own_engines.up, "kafka")
        await rounds_later(writer, 50, running)
        running.pop().cancel()
        await caught_up(log, topic, followers, running)
        for task in running:
            task.cancel()
        await close_all(followers)
        check(writer, followers)


async def consume(follower: Follower) -> None:
    while True:
        await follower.step()


async def rounds_later(writer: Writer, rounds: int, running: list[asyncio.Task[None]]) -> None:
    wanted = writer.rounds + rounds
    await until(lambda: writer.rounds >= wanted, running)


async def caught_up(
    log: KafkaEventLog,
    topic: str,
    followers: list[Follower],
    running: list[asyncio.Task[None]],
) -> None:
    total = sum((await log.end_offsets([topic])).values())
    await until(lambda: all(len(places(each)) == total for each in followers), running)


async def until(condition: Callable[[], bool], running: list[asyncio.Task[None]]) -> None:
    async with asyncio.timeout(CAUGHT_UP_DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.05)
            for task in running:
                if task.done():
                    task.result()


def places(follower: Follower) -> dict[tuple[TopicPartition, int], tuple[str, int]]:
    return {
        (each.topic_partition, each.offset): (each.key, int(each.value))
        for each in follower.records
    }


def check(writer: Writer, followers: list[Follower]) -> None:
    print(f"{writer.rounds} rounds, {writer.failures} failed, longest {writer.longest_s:.1f} s")
    assert writer.longest_s < APPEND_TIMEOUT_MS / 1000 + 5
    for follower in followers:
        read = places(follower)
        assert writer.places.items() <= read.items()
        for key in KEYS:
            numbers = [number for at in sorted(read) for k, number in [read[at]] if k == key]
            assert list(dict.fromkeys(numbers)) == sorted(set(numbers))
            assert max(numbers) + 1 == len(set(numbers))
