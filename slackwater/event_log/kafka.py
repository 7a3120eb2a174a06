"""The event log on Apache Kafka.

An append has been acknowledged by all in-sync replicas when it returns. The partition of a key is
ours, so the embedded log and Kafka agree. Progress is never kept here: what groups commit is a hint
for operators, and every consumer says by `seek` where it goes on. Nothing here uses transactions,
so offsets have no gaps and everything below the high watermark can be read.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from slackwater.errors import SlackwaterError, TransientError
from slackwater.event_log.kafka_appender import KafkaAppender, require_small_enough
from slackwater.event_log.kafka_driver import (
    Consumer,
    KafkaCluster,
    RangePartitionAssignor,
    in_our_words,
    start_consumer,
)
from slackwater.event_log.kafka_logs import take_over_client_logs
from slackwater.event_log.kafka_member import KafkaEverything, KafkaMember, KafkaOwner
from slackwater.event_log.kafka_offsets import KafkaOffsets
from slackwater.event_log.kafka_subscription import KafkaSubscription
from slackwater.event_log.kafka_topics import KafkaTopics
from slackwater.event_log.partitioner import partition_of
from slackwater.event_log.port import EventLogCapability, NewRecord, Topic, TopicPartition

_HEARTBEAT_MS = 500
_FETCH_WAIT_MAX_MS = 500
_FETCH_BYTES_MAX = 8 << 20
_PARTITION_FETCH_BYTES_MAX = 1 << 20
_NEVER_MS = (1 << 31) - 1


class KafkaEventLog:
    """Implements `EventLog`; needs a running event loop."""

    capabilities = frozenset(EventLogCapability)

    def __init__(
        self,
        cluster: KafkaCluster,
        *,
        replication_factor: int = 1,
        min_insync_replicas: int = 1,
        append_timeout_ms: int = 10_000,
        session_timeout_ms: int = 10_000,
        group_instance_id: str | None = None,
    ) -> None:
        """Use the log of a cluster; nothing is asked of it before the first call.

        Args:
            cluster: where the brokers are.
            replication_factor: of topics that are created; 3 in production.
            min_insync_replicas: how many must have a record before it is acknowledged; 2 in
                production.
            append_timeout_ms: after which an append that is not acknowledged has failed; looking an
                unknown topic up may take twice a request's time before.
            session_timeout_ms: how long a group waits for a member that gives no sign of life.
            group_instance_id: names this process among the members of its groups, so that a quick
                restart moves no partitions; no two processes may have the same.
        """
        take_over_client_logs()
        self._cluster = cluster
        self._topics = KafkaTopics(
            cluster,
            replication_factor=replication_factor,
            min_insync_replicas=min_insync_replicas,
        )
        self._appender = KafkaAppender(cluster, timeout_ms=append_timeout_ms)
        self._offsets = KafkaOffsets(cluster)
        self._session_timeout_ms = session_timeout_ms
        self._group_instance_id = group_instance_id
        self._acknowledged: dict[TopicPartition, int] = {}

    async def create_topics(self, topics: Sequence[Topic]) -> None:
        """Create what is missing, and take over a changed retention.

        Raises:
            PartitionCountError: a topic exists with another number of partitions.
            TransientError: no broker answers in time.
        """
        await self._topics.create(topics)

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        """Append durably, in order in each partition; return each record's partition and offset.

        Raises:
            UnknownTopicError: a topic was never created; nothing is appended then.
            TransientError: some records may be missing, in each partition only the last ones; those
                that are there will be there twice once the append has been repeated.
        """
        require_small_enough(records)
        places = await self._places(records)
        indices = defaultdict[TopicPartition, list[int]](list)
        for index, at in enumerate(places):
            indices[at].append(index)
        appended = await asyncio.gather(
            *(
                self._append(at, [records[each] for each in wanted])
                for at, wanted in indices.items()
            ),
            return_exceptions=True,
        )
        placed: dict[int, int] = {}
        for wanted, offsets in zip(indices.values(), appended, strict=True):
            if isinstance(offsets, BaseException):
                raise offsets
            placed.update(zip(wanted, offsets, strict=True))
        return [(at, placed[index]) for index, at in enumerate(places)]

    async def end_offsets(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """Return the offset that the next record of each partition will get, read afresh.

        Raises:
            UnknownTopicError: a topic was never created.
            TransientError: a leader does not answer in time, or does not know what it acknowledged.
        """
        ends = await self._offsets.ends(await self._all_partitions(topics))
        for at, end in ends.items():
            self._require_current(at, end)
        return ends

    async def subscribe(self, topics: Sequence[str], *, group: str | None) -> KafkaSubscription:
        """Join a consumer group; with no group, be assigned every partition and never rebalance.

        Raises:
            UnknownTopicError: a topic was never created.
            TransientError: no broker answers in time.
        """
        partitions = await self._all_partitions(topics)
        news = asyncio.Event()
        owner: KafkaOwner = KafkaEverything(partitions)
        if group is not None:
            owner = KafkaMember(
                topics, session_timeout_ms=self._session_timeout_ms, changed=news.set
            )
        subscription = KafkaSubscription(
            lambda: self._start_consumer(group),
            owner=owner,
            news=news,
            offsets=self._offsets,
            oldest_at_zero=group is None,
        )
        await subscription.begin()
        return subscription

    async def close(self) -> None:
        """Release the connections; subscriptions must be closed before."""
        await self._appender.close()
        await self._offsets.close()

    async def _places(self, records: Sequence[NewRecord]) -> list[TopicPartition]:
        partitions = await self._topics.partitions(record.topic for record in records)
        return [
            TopicPartition(record.topic, partition_of(record.key, partitions[record.topic]))
            for record in records
        ]

    async def _append(self, at: TopicPartition, records: Sequence[NewRecord]) -> list[int]:
        try:
            offsets = await self._appender.append(at, records)
        except SlackwaterError:
            self._topics.forget()
            raise
        self._acknowledged[at] = max(self._acknowledged.get(at, 0), offsets[-1] + 1)
        return offsets

    async def _all_partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        return [
            TopicPartition(topic, partition)
            for topic, count in (await self._topics.partitions(topics)).items()
            for partition in range(count)
        ]

    def _require_current(self, at: TopicPartition, end: int) -> None:
        acknowledged = self._acknowledged.get(at, 0)
        if end < acknowledged:
            raise TransientError(
                f"{at.topic}[{at.partition}] is said to end at offset {end}, but everything before "
                f"{acknowledged} was acknowledged: a broker that leads no more has answered, or "
                "the log was restored; try again, and restart if it was restored"
            )

    async def _start_consumer(self, group: str | None) -> Consumer:
        rebalance_timeout_ms = 2 * self._session_timeout_ms
        options = self._cluster.options()
        if group is not None:  # a join is answered only when all members have joined
            options["request_timeout_ms"] += rebalance_timeout_ms
        consumer = Consumer(
            **options,
            group_id=group,
            group_instance_id=self._group_instance_id if group is not None else None,
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=self._session_timeout_ms,
            heartbeat_interval_ms=_HEARTBEAT_MS,
            rebalance_timeout_ms=rebalance_timeout_ms,
            max_poll_interval_ms=_NEVER_MS,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_min_bytes=1,
            fetch_max_wait_ms=_FETCH_WAIT_MAX_MS,
            fetch_max_bytes=_FETCH_BYTES_MAX,
            max_partition_fetch_bytes=_PARTITION_FETCH_BYTES_MAX,
        )
        with in_our_words("connecting to Kafka"):
            async with asyncio.timeout(self._cluster.request_timeout_ms / 1000):
                await start_consumer(consumer)
        return consumer
