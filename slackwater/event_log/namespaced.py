"""An event log whose names all begin alike, so that several installations can share one cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from slackwater.event_log.port import (
    Assignment,
    EventLog,
    EventLogCapability,
    NewRecord,
    Record,
    Subscription,
    Topic,
    TopicPartition,
)


class NamespacedEventLog:
    """Implements `EventLog` around another: topics and groups are named behind a prefix there."""

    def __init__(self, log: EventLog, prefix: str) -> None:
        self._log = log
        self._prefix = prefix

    @property
    def capabilities(self) -> frozenset[EventLogCapability]:
        return self._log.capabilities

    async def create_topics(self, topics: Sequence[Topic]) -> None:
        named = [replace(topic, name=self._prefix + topic.name) for topic in topics]
        await self._log.create_topics(named)

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        named = [replace(record, topic=self._prefix + record.topic) for record in records]
        placed = await self._log.append(named)
        return [(self._ours(at), offset) for at, offset in placed]

    async def end_offsets(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        ends = await self._log.end_offsets([self._prefix + topic for topic in topics])
        return {self._ours(at): end for at, end in ends.items()}

    async def subscribe(self, topics: Sequence[str], *, group: str | None) -> Subscription:
        subscription = await self._log.subscribe(
            [self._prefix + topic for topic in topics],
            group=None if group is None else self._prefix + group,
        )
        return _NamespacedSubscription(subscription, self._prefix)

    async def close(self) -> None:
        await self._log.close()

    def _ours(self, at: TopicPartition) -> TopicPartition:
        return TopicPartition(at.topic.removeprefix(self._prefix), at.partition)


class _NamespacedSubscription:
    """Implements `Subscription`."""

    def __init__(self, subscription: Subscription, prefix: str) -> None:
        self._subscription = subscription
        self._prefix = prefix

    async def poll(self, *, max_records: int, timeout_ms: int) -> Assignment | Sequence[Record]:
        polled = await self._subscription.poll(max_records=max_records, timeout_ms=timeout_ms)
        if isinstance(polled, Assignment):
            return Assignment(frozenset(map(self._ours, polled.partitions)))
        return [replace(each, topic=each.topic.removeprefix(self._prefix)) for each in polled]

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        await self._subscription.seek(
            {
                TopicPartition(self._prefix + at.topic, at.partition): position
                for at, position in positions.items()
            }
        )

    async def close(self) -> None:
        await self._subscription.close()

    def _ours(self, at: TopicPartition) -> TopicPartition:
        return TopicPartition(at.topic.removeprefix(self._prefix), at.partition)
