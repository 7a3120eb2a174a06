"""What several processes may expect of one event log; part of its contract."""

from __future__ import annotations

import asyncio
import sys
from abc import abstractmethod
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from slackwater.event_log.port import EventLog, TopicPartition
from slackwater.ids import new_id
from slackwater.testing.claims import Guarantee, holds
from slackwater.testing.event_log_reading import (
    DEADLINE_S,
    Follower,
    new_records,
    partitions_of,
    read_all,
    until,
)

_APPEND = """
async def work(log, topic, name):
    for n in range(60):
        key = f"{name} {n % 3}"
        await log.append([NewRecord(topic=topic, key=key, value=b"%d" % n)])
"""
_APPEND_FOR_EVER = """
async def work(log, topic, key):
    n = 0
    while True:
        [(at, offset)] = await log.append([NewRecord(topic=topic, key=key, value=b"%d" % n)])
        print(at.partition, offset, n, flush=True)
        n += 1
"""
_CONSUME = """
async def work(log, topic, group):
    subscription = await log.subscribe([topic], group=group)
    while True:
        polled = await subscription.poll(max_records=3, timeout_ms=1000)
        if isinstance(polled, Assignment):
            await subscription.seek({})
            continue
        for record in polled:
            print(record.partition, record.offset, record.value.decode(), flush=True)
"""
_RUN = """
import asyncio, sys
from slackwater.event_log.port import Assignment, NewRecord
async def main():
    async with opened() as log:
        await work(log, *sys.argv[1:])
asyncio.run(main())
"""


class ProcessCases:
    """Cases in which other processes take part."""

    @abstractmethod
    def opening(self, directory: Path) -> str:
        """Return Python code that defines `opened()`, which opens the log of `directory`.

        It is run in a fresh process, and `opened()` is an asynchronous context manager.
        """

    async def test_processes_that_append_at_once_keep_the_order_of_each_key(
        self, log: EventLog, topic: str, tmp_path: Path
    ) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*(self._append(tmp_path, topic, name) for name in ("a", "b", "c")))
        numbers = defaultdict[str, list[int]](list)
        for record in await read_all(log, topic):
            numbers[record.key].append(int(record.value))
        assert numbers == {
            f"{name} {n}": list(range(n, 60, 3)) for name in ("a", "b", "c") for n in range(3)
        }

    @holds(Guarantee.DURABILITY)
    async def test_what_append_has_returned_outlives_a_killed_process(
        self, log: EventLog, topic: str, tmp_path: Path
    ) -> None:
        returned: dict[TopicPartition, int] = {}
        async with self._running(tmp_path, _APPEND_FOR_EVER, topic, "key") as process:
            for _ in range(20):
                await _read_line(process, topic, returned)
            process.kill()
            while await _read_line(process, topic, returned):
                pass
        [(at, end)] = returned.items()
        values = [int(record.value) for record in await read_all(log, topic)]
        assert values == list(range(len(values)))
        assert (await log.end_offsets([topic]))[at] == len(values) >= end >= 20

    async def test_a_killed_member_is_replaced_and_everything_is_read(
        self, log: EventLog, topic: str, tmp_path: Path
    ) -> None:
        group = new_id()
        await log.append(new_records(topic, 60))
        stored: dict[TopicPartition, int] = {}
        async with self._running(tmp_path, _CONSUME, topic, group) as process:
            read = {await _read_line(process, topic, stored) for _ in range(20)}
            successor = Follower(await log.subscribe([topic], group=group), stored)
            process.kill()
            while number := await _read_line(process, topic, stored):
                read.add(number)
        begun_at = dict(stored)
        await log.append(new_records(topic, 20, first=60))
        await until([successor], lambda: successor.owned == partitions_of(topic))
        everything = {b"%d" % n for n in range(80)}
        await until(
            [successor], lambda: {each.value for each in successor.records} >= everything - read
        )
        firsts = {record.topic_partition: record.offset for record in successor.records[::-1]}
        assert firsts == {at: begun_at.get(at, 0) for at in firsts}
        await successor.subscription.close()

    async def _append(self, directory: Path, topic: str, name: str) -> None:
        async with self._running(directory, _APPEND, topic, name) as process:
            assert await process.wait() == 0

    @asynccontextmanager
    async def _running(self, directory: Path, work: str, *arguments: str) -> AsyncIterator[Process]:
        program = self.opening(directory) + work + _RUN
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, *arguments, stdout=PIPE
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def _read_line(
    process: Process, topic: str, stored: dict[TopicPartition, int]
) -> bytes | None:
    """Take what a consumer in another process has read, as its store would."""
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        line = (await process.stdout.readline()).split()
    if len(line) != 3:  # it was killed while it wrote
        return None
    stored[TopicPartition(topic, int(line[0]))] = int(line[1]) + 1
    return line[2]
