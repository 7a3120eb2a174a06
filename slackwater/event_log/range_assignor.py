"""Which partitions a group member owns, as Kafka's RangeAssignor has it.

Every member computes its own share from the same list of members, so nobody has to lead. Topics
with equal partition counts and the same members are shared alike: one member owns partition n of
all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from slackwater.event_log.port import TopicPartition


def range_share(
    member: int, members: Mapping[int, Set[str]], partition_counts: Mapping[str, int]
) -> frozenset[TopicPartition]:
    """Return the share of `member`.

    Args:
        member: one of `members`.
        members: the topics that each member reads.
        partition_counts: how many partitions each topic of `member` has.
    """
    return frozenset(
        TopicPartition(topic, partition)
        for topic in members[member]
        for partition in _range(member, _readers(topic, members), partition_counts[topic])
    )


def _readers(topic: str, members: Mapping[int, Set[str]]) -> list[int]:
    return sorted(member for member, topics in members.items() if topic in topics)


def _range(member: int, readers: list[int], partitions: int) -> range:
    each, extra = divmod(partitions, len(readers))
    at = readers.index(member)
    first = each * at + min(at, extra)
    return range(first, first + each + (at < extra))
