"""A read model: documents that projectors keep and gateways serve."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from slackwater.event_log.partitioner import partition_of
from slackwater.event_log.port import OnePartition


class ReadModel(msgspec.Struct, frozen=True, kw_only=True):
    """Its name, and the topics of each source that feed it.

    `keyed` names the topics, with their number of partitions, of which all events that change a
    document have the document's id as their partition key. Leave a topic out if that is in doubt:
    then all its partitions count for every document.
    """

    name: str
    topics: dict[str, tuple[str, ...]]
    keyed: dict[str, int] = {}

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(self.topics)

    def partitions_of(self, key: str) -> Mapping[str, OnePartition]:
        """Return the one partition with a document's events, of each topic that is keyed so."""
        return {
            topic: OnePartition(partition_of(key, count), count)
            for topic, count in self.keyed.items()
        }

    @property
    def all_topics(self) -> tuple[str, ...]:
        return tuple(topic for topics in self.topics.values() for topic in topics)
