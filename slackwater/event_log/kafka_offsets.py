"""Where partitions begin and end, asked of their leaders each time.

The end is the high watermark: the offset behind the last record that every in-sync replica has.
That is enough for a relay's vector. An event that somebody marked as published was acknowledged
before by all in-sync replicas, so it lies below the high watermark that is read afterwards; an
event that is not marked will be published, and acknowledged, by whoever reads the vector. A late
record of a predecessor between the high watermark and the leader's log end is therefore a duplicate
of something that is covered anyway. The log end would be a worse answer: records beyond the high
watermark may be lost with their leader, and then no consumer ever gets there.

A new leader does not answer until its high watermark has reached where its time began (KIP-207),
so the end never goes back over an election. A deposed leader that nobody has told may still answer
with an old end; `KafkaEventLog` refuses an end below what it has had acknowledged itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import NamedTuple

from slackwater.cancellation import undisturbed
from slackwater.event_log.kafka_driver import (
    Consumer,
    KafkaCluster,
    KafkaPartition,
    end_consumer,
    in_our_words,
    start_consumer,
)
from slackwater.event_log.port import TopicPartition


class KafkaBounds(NamedTuple):
    """The oldest offset that a partition keeps, and the offset that its next record gets."""

    oldest: int
    end: int


class KafkaOffsets:
    """Asks over one connection to each leader, without any cache."""

    def __init__(self, cluster: KafkaCluster) -> None:
        self._cluster = cluster
        self._starting = asyncio.Lock()
        self._consumer: Consumer | None = None

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the high watermark of each partition."""
        with in_our_words("reading end offsets"):
            async with self._answering() as consumer:
                return _ours(await consumer.end_offsets(_theirs(partitions)))

    async def bounds(self, at: TopicPartition) -> KafkaBounds:
        """Return what one partition keeps."""
        with in_our_words("reading the oldest offset"):
            async with self._answering() as consumer:
                oldest = await consumer.beginning_offsets(_theirs([at]))
                ends = await consumer.end_offsets(_theirs([at]))
        return KafkaBounds(_ours(oldest)[at], _ours(ends)[at])

    async def close(self) -> None:
        if self._consumer is not None:
            await self._give_up(self._consumer)

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[Consumer]:
        """Lend the client for as long as one request may take; one that is silent is given up."""
        lent: Consumer | None = None
        try:
            async with asyncio.timeout(self._cluster.request_timeout_ms / 1000):
                lent = await self._started()
                yield lent
        except TimeoutError:
            if lent is not None:
                await self._give_up(lent)  # it may wait for ever
            raise

    async def _give_up(self, consumer: Consumer) -> None:
        """End this client, unless another who waited for it already has."""
        if self._consumer is consumer:
            self._consumer = None
            await undisturbed(end_consumer(consumer))

    async def _started(self) -> Consumer:
        async with self._starting:
            if self._consumer is None:
                consumer = Consumer(**self._cluster.options(), enable_auto_commit=False)
                await start_consumer(consumer)
                self._consumer = consumer
            return self._consumer


def _theirs(partitions: Collection[TopicPartition]) -> list[KafkaPartition]:
    return [KafkaPartition(*at) for at in partitions]


def _ours(offsets: dict[KafkaPartition, int]) -> dict[TopicPartition, int]:
    return {TopicPartition(*at): offset for at, offset in offsets.items()}
