"""Topics on Kafka: created as stated, refused with other partitions, and looked up.

Topics of events keep everything: retention by neither time nor size. A topic with a bound keeps
about that many records by size, never by time. Kafka drops whole segments, so up to twice the bound
stays, and for some minutes more; the records kept are a suffix without gaps all the same.

A topic that keeps the newest record of each key is compacted and never shortened: retention by size
would drop a segment with all that is in it, also the last word of a source that fell silent. Its
segments are small, so that little is left that could be compacted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from slackwater.errors import StructuralError, TransientError
from slackwater.event_log.errors import PartitionCountError, UnknownTopicError
from slackwater.event_log.kafka_driver import (
    AdminClient,
    ConfigResource,
    ConfigResourceType,
    KafkaCluster,
    NewTopic,
    in_our_words,
)
from slackwater.event_log.port import Topic

_RECORD_BYTES = 512  # of a watermark with its share of a batch, generously
_SEGMENT_BYTES_MIN = 1 << 20  # brokers refuse less
_SPREAD_TIMEOUT_S = 2.0
_LOOK_UP_TIMEOUT_S = 0.3
_SPREAD_INTERVAL_S = 0.05

_OK = 0
_TIMED_OUT, _TOPIC_EXISTS, _NOT_CONTROLLER = 7, 36, 41
_SET_ON_TOPIC = 1


class KafkaTopics:
    """Creates topics, and knows the number of partitions of each."""

    def __init__(
        self, cluster: KafkaCluster, *, replication_factor: int, min_insync_replicas: int
    ) -> None:
        self._cluster = cluster
        self._replication_factor = replication_factor
        self._min_insync_replicas = min_insync_replicas
        self._partitions: dict[str, int] = {}

    async def create(self, topics: Sequence[Topic]) -> None:
        """Create what is missing, and take over a changed retention.

        Raises:
            PartitionCountError: a topic exists with another number of partitions.
        """
        async with self._admin("creating topics") as admin:
            answer = await admin.create_topics([self._new_topic(topic) for topic in topics])
            for name, code, message in answer.topic_errors:
                _require_created(name, code, message)
            found = await _described(
                admin, [topic.name for topic in topics], timeout_s=_SPREAD_TIMEOUT_S
            )
            for topic in topics:
                _require_partitions(topic, found.get(topic.name))
            await self._configure(admin, topics)
        self._partitions |= found

    async def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """Return the number of partitions of each topic.

        Raises:
            UnknownTopicError: a topic was never created.
        """
        wanted = list(dict.fromkeys(topics))
        missing = [topic for topic in wanted if topic not in self._partitions]
        if missing:
            async with self._admin("looking topics up") as admin:
                self._partitions |= await _described(admin, missing, timeout_s=_LOOK_UP_TIMEOUT_S)
        for topic in wanted:
            if topic not in self._partitions:
                raise UnknownTopicError(topic)
        return {topic: self._partitions[topic] for topic in wanted}

    def forget(self) -> None:
        """Look everything up anew: a topic may have been deleted."""
        self._partitions.clear()

    @asynccontextmanager
    async def _admin(self, doing: str) -> AsyncIterator[AdminClient]:
        admin = AdminClient(**self._cluster.options())
        with in_our_words(doing):
            try:
                async with asyncio.timeout(2 * self._cluster.request_timeout_ms / 1000):
                    await admin.start()
                    yield admin
            finally:
                await admin.close()

    def _new_topic(self, topic: Topic) -> NewTopic:
        return NewTopic(
            topic.name,
            topic.partitions,
            self._replication_factor,
            topic_configs=config_of(topic, self._min_insync_replicas),
        )

    async def _configure(self, admin: AdminClient, topics: Sequence[Topic]) -> None:
        """Set what differs; what others have set besides stays, though altering replaces all."""
        for topic in topics:
            set_on_topic = await _read_config(admin, topic.name)
            wanted = config_of(topic, self._min_insync_replicas)
            if wanted.items() <= set_on_topic.items():
                continue
            await _alter_config(admin, topic.name, set_on_topic | wanted)


def config_of(topic: Topic, min_insync_replicas: int) -> dict[str, str]:
    """Return the configuration that a topic is created with and kept at."""
    return {
        "min.insync.replicas": str(min_insync_replicas),
        "unclean.leader.election.enable": "false",
        "retention.ms": "-1",
        **_retention(topic),
    }


def _retention(topic: Topic) -> dict[str, str]:
    if topic.retention_records is None:
        return {"cleanup.policy": "delete", "retention.bytes": "-1", "segment.bytes": str(1 << 30)}
    if topic.keeps_newest:
        return {
            "cleanup.policy": "compact",
            "retention.bytes": "-1",
            "segment.bytes": str(_SEGMENT_BYTES_MIN),
            "min.cleanable.dirty.ratio": "0.1",
        }
    kept = max(topic.retention_records * _RECORD_BYTES, _SEGMENT_BYTES_MIN)
    return {
        "cleanup.policy": "delete",
        "retention.bytes": str(kept),
        "segment.bytes": str(max(kept // 4, _SEGMENT_BYTES_MIN)),
    }


def _require_created(topic: str, code: int, message: str | None) -> None:
    if code in (_OK, _TOPIC_EXISTS):
        return
    if code in (_TIMED_OUT, _NOT_CONTROLLER):
        raise TransientError(f"topic {topic} was not created in time ({message}); try again")
    raise StructuralError(
        f"Kafka refuses to create topic {topic} ({message}); mend its name, the replication "
        "factor or this client's rights"
    )


def _require_partitions(topic: Topic, existing: int | None) -> None:
    if existing is None:
        raise TransientError(f"topic {topic.name} is created but not known yet; try again")
    if existing != topic.partitions:
        raise PartitionCountError(topic.name, existing, topic.partitions)


async def _described(admin: AdminClient, topics: list[str], *, timeout_s: float) -> dict[str, int]:
    """Return the known among `topics`; a new one may take a moment to reach all brokers."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        found = {
            each["topic"]: len(each["partitions"])
            for each in await admin.describe_topics(topics)
            if each["error_code"] == _OK
        }
        if len(found) == len(set(topics)) or time.monotonic() > deadline_s:
            return found
        await asyncio.sleep(_SPREAD_INTERVAL_S)


async def _read_config(admin: AdminClient, topic: str) -> dict[str, str]:
    """Return what is set on the topic itself."""
    [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    [(code, message, _, _, entries)] = answer.resources
    _require_answered(topic, code, message)
    return {name: value for name, value, _, source, *_ in entries if source == _SET_ON_TOPIC}


async def _alter_config(admin: AdminClient, topic: str, config: dict[str, str]) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, config)
    [answer] = await admin.alter_configs([resource])
    [(code, message, *_)] = answer.resources
    _require_answered(topic, code, message)


def _require_answered(topic: str, code: int, message: Any) -> None:
    if code != _OK:
        raise StructuralError(
            f"Kafka refuses the configuration of topic {topic} ({message}); mend it or this "
            "client's rights"
        )
