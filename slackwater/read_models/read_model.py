"""A read model: documents that projectors keep and gateways serve."""

from __future__ import annotations

import msgspec


class ReadModel(msgspec.Struct, frozen=True, kw_only=True):
    """Its name, and the topics of each source that feed it."""

    name: str
    topics: dict[str, tuple[str, ...]]

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(self.topics)

    @property
    def all_topics(self) -> tuple[str, ...]:
        return tuple(topic for topics in self.topics.values() for topic in topics)
