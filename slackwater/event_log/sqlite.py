"""The embedded event log: a file per topic, a file for the consumer groups, shared by processes.

An append has reached the disk when it returns. Each process has one writer a topic that commits in
groups; other processes are woken by a doorbell, and look by themselves ten times a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from slackwater.doorbell import Doorbell
from slackwater.event_log.groups import Groups, open_groups
from slackwater.event_log.member import Everything, Member, Owner
from slackwater.event_log.port import EventLogCapability, NewRecord, Topic, TopicPartition
from slackwater.event_log.sqlite_subscription import SqliteSubscription
from slackwater.event_log.topic_file import TopicFile, create_topic, open_topic
from slackwater.event_log.wakeup import Wakeup


class SqliteEventLog:
    """Implements `EventLog`; any number of them, in any process, may share a directory."""

    capabilities: frozenset[EventLogCapability] = frozenset()

    def __init__(
        self,
        directory: Path,
        doorbell: Doorbell,
        *,
        lease_ms: int = 3_000,
        heartbeat_ms: int = 500,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Use the log in `directory`.

        Args:
            directory: where the files are; made when missing.
            doorbell: rung after each append; the caller closes it, after the log.
            lease_ms: how long a group waits for a member that gives no sign of life.
            heartbeat_ms: how often a member gives one.
            monotonic_ns: the machine's monotonic clock, by which leases are told.
        """
        self._directory = directory
        self._doorbell = doorbell
        self._lease_ms = lease_ms
        self._heartbeat_ms = heartbeat_ms
        self._monotonic_ns = monotonic_ns
        self._opening = asyncio.Lock()
        self._topics: dict[str, TopicFile] = {}
        self._groups: Groups | None = None

    async def create_topics(self, topics: Sequence[Topic]) -> None:
        """Create what is missing, and take over a changed retention.

        Raises:
            PartitionCountError: a topic exists with another number of partitions.
        """
        for topic in topics:
            await create_topic(self._directory, topic)

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        """Append durably, topic after topic, each in one transaction and in order.

        Raises:
            UnknownTopicError: a topic was never created; nothing is appended then.
        """
        files = await self._open({record.topic: None for record in records})
        placed: dict[int, tuple[TopicPartition, int]] = {}
        for topic, file in files.items():
            indices = [index for index, record in enumerate(records) if record.topic == topic]
            places = await file.append([records[index] for index in indices])
            placed.update(zip(indices, places, strict=True))
            self._doorbell.ring(_bell(topic))
        return [placed[index] for index in range(len(records))]

    async def end_offsets(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """Return the offset that the next record of each partition will get, read afresh.

        Raises:
            UnknownTopicError: a topic was never created.
        """
        return {
            TopicPartition(topic, partition): bounds.end
            for topic, file in (await self._open(topics)).items()
            for partition, bounds in (await file.bounds()).items()
        }

    async def subscribe(self, topics: Sequence[str], *, group: str | None) -> SqliteSubscription:
        """Join a consumer group; with no group, be assigned every partition and never rebalance.

        Raises:
            UnknownTopicError: a topic was never created.
        """
        files = await self._open(topics)
        wakeup = Wakeup(self._doorbell, map(_bell, files))
        try:
            owner = await self._owner(group, files, wakeup)
        except BaseException:
            await wakeup.close()
            raise
        return SqliteSubscription(files, owner=owner, wakeup=wakeup, oldest_at_zero=group is None)

    async def close(self) -> None:
        """Release the files; subscriptions must be closed before."""
        for file in self._topics.values():
            await file.close()
        self._topics.clear()
        if self._groups is not None:
            await self._groups.close()
            self._groups = None

    async def _open(self, topics: Sequence[str] | dict[str, None]) -> dict[str, TopicFile]:
        async with self._opening:
            for topic in topics:
                if topic not in self._topics:
                    self._topics[topic] = await open_topic(self._directory, topic)
        return {topic: self._topics[topic] for topic in topics}

    async def _owner(self, group: str | None, files: dict[str, TopicFile], wakeup: Wakeup) -> Owner:
        partition_counts = {topic: file.partitions for topic, file in files.items()}
        if group is None:
            return Everything(partition_counts)
        member = Member(
            group,
            groups=await self._open_groups(),
            partition_counts=partition_counts,
            doorbell=self._doorbell,
            heartbeat_ms=self._heartbeat_ms,
            changed=wakeup.wake,
        )
        await member.join()
        return member

    async def _open_groups(self) -> Groups:
        async with self._opening:
            if self._groups is None:
                self._groups = await open_groups(
                    self._directory / "groups.sqlite",
                    lease_ms=self._lease_ms,
                    monotonic_ns=self._monotonic_ns,
                )
            return self._groups


def _bell(topic: str) -> str:
    return f"log/{topic}"
