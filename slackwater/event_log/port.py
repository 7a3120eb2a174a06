"""The event log as a port: topics of partitions, appended durably, read by consumer groups.

What every adapter guarantees: `append` returns only when the records are durable; the records of
one partition keep the order in which they were appended; offsets of a partition count up from 0
and are never given twice; a record is delivered again until its consumer says where it is by
`seek` — the log keeps no truth about what was handled, the consumer's own store does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from slackwater.capability import Capability


class EventLogCapability(Capability):
    """What an event log can do beyond what every one must."""

    SEVERAL_MACHINES = "SEVERAL_MACHINES", "relays and projectors run where the files are"
    """Processes on any machine use the same log."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic; its number of partitions never changes.

    `retention_records` bounds how many records each partition keeps; None keeps everything, as
    topics of events must, because read models are rebuilt from them. With `keeps_newest` each key's
    newest record stays whatever the bound: what was trimmed has a newer one, so that readers go on
    behind it.
    """

    name: str
    partitions: int = 4
    retention_records: int | None = None
    keeps_newest: bool = False


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class OnePartition(NamedTuple):
    """The partition of a key, in a topic that has so many of them."""

    partition: int
    partitions: int


class NewRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record to append; its partition is that of its key."""

    topic: str
    key: str
    value: bytes
    headers: dict[str, str] = {}


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it stands in the log."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes
    headers: dict[str, str]

    @property
    def topic_partition(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)


class Assignment(msgspec.Struct, frozen=True):
    """The partitions that a group member owns from now on; it must seek before it reads on."""

    partitions: frozenset[TopicPartition]


class Subscription(Protocol):
    """One member of a consumer group (or, without a group, a reader of every partition)."""

    async def poll(self, *, max_records: int, timeout_ms: int) -> Assignment | Sequence[Record]:
        """Return the next records, or a new assignment, or nothing once the time is up.

        Records of one partition come in offset order without gaps. A new `Assignment` comes first
        of all, and again whenever the group's membership changes; until the member has called
        `seek` for it, no records of newly assigned partitions are returned.
        """
        ...

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Go on at the given next offsets; a partition that is not named starts at 0.

        Without a group, 0 means the oldest kept record. With one, a position that was trimmed away
        is an error at the next poll: a consumer must learn that it has lost events.
        """
        ...

    async def close(self) -> None:
        """Leave the group."""
        ...


class EventLog(Protocol):
    """The log itself; several processes use it at once."""

    @property
    def capabilities(self) -> frozenset[EventLogCapability]: ...

    async def create_topics(self, topics: Sequence[Topic]) -> None:
        """Create what is missing; refuse a topic that exists with another number of partitions."""
        ...

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        """Append durably, in order; return each record's partition and offset."""
        ...

    async def end_offsets(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """Return the offset that the next record of each partition will get, read afresh."""
        ...

    async def subscribe(self, topics: Sequence[str], *, group: str | None) -> Subscription:
        """Join a consumer group; with no group, be assigned every partition and never rebalance."""
        ...

    async def close(self) -> None:
        """Release what is held; subscriptions must be closed before."""
        ...
