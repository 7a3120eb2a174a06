"""Where a subscription is in each of its partitions, the least recently served first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil

from slackwater.event_log.port import Record, TopicPartition
from slackwater.event_log.topic_file import Fetch


class Positions:
    """Next offsets; a partition without one must be sought first."""

    def __init__(self) -> None:
        self._owned: frozenset[TopicPartition] = frozenset()
        self._next: dict[TopicPartition, int] = {}

    def assign(self, partitions: frozenset[TopicPartition], *, keep: bool) -> None:
        """Own these partitions; `keep` the positions of those that were owned before."""
        self._owned = partitions
        self._next = {at: offset for at, offset in self._next.items() if keep and at in partitions}

    def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Go on at `positions`; partitions that have none yet begin at 0, others are left out."""
        unsought = dict.fromkeys(self._owned - self._next.keys(), 0)
        wanted = {at: offset for at, offset in positions.items() if at in self._owned}
        self._next |= unsought | wanted

    def next_offsets(self) -> dict[TopicPartition, int]:
        """Return where each partition that can be read goes on."""
        return dict(self._next)

    def topics(self) -> list[str]:
        """Return the topics with partitions that can be read."""
        return list(dict.fromkeys(at.topic for at in self._next))

    def fetches(
        self, ends: Mapping[TopicPartition, int], records_max: int
    ) -> dict[str, list[Fetch]]:
        """Share a batch among the partitions with news, so that none waits for another's backlog.

        Whoever was served longest ago comes first, so a small batch goes round as well. A position
        beyond the end counts as news: reading there says what is wrong.
        """
        fetches: dict[str, list[Fetch]] = {}
        for at, limit in self._limits(ends, records_max):
            fetches.setdefault(at.topic, []).append(Fetch(at.partition, self._next[at], limit))
        return fetches

    def advance(self, records: Sequence[Record]) -> None:
        """Go on behind these records."""
        for at, offset in {each.topic_partition: each.offset for each in records}.items():
            del self._next[at]
            self._next[at] = offset + 1

    def _limits(
        self, ends: Mapping[TopicPartition, int], records_max: int
    ) -> Iterator[tuple[TopicPartition, int]]:
        waiting = [at for at, offset in self._next.items() if offset != ends.get(at, offset)]
        left = records_max
        for served, at in enumerate(waiting):
            if left <= 0:
                return
            limit = min(ceil(left / (len(waiting) - served)), abs(ends[at] - self._next[at]))
            left -= limit
            yield at, limit
