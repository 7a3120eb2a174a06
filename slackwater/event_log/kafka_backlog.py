"""Records that were fetched and not handed out yet, bounded in each partition.

The client hands out what it has of one partition before it looks at another. Here everything
fetched waits side by side, so that a backlog in one partition never starves another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from slackwater.event_log.port import Record, TopicPartition
from slackwater.event_log.positions import Positions

_RECORDS_MAX = 2_000  # and what one fetch brings on top


class Backlog:
    """What waits in each partition, the oldest first."""

    def __init__(self) -> None:
        self._records: dict[TopicPartition, deque[Record]] = {}

    def add(self, fetched: Mapping[Any, Iterable[Any]]) -> None:
        """Keep what the client has fetched."""
        for at, records in fetched.items():
            waiting = self._records.setdefault(TopicPartition(*at), deque())
            waiting.extend(map(_record_of, records))

    def with_room(self, partitions: Collection[TopicPartition]) -> list[TopicPartition]:
        """Return those partitions of which more may be fetched."""
        return [at for at in partitions if len(self._records.get(at, ())) < _RECORDS_MAX]

    def take(self, positions: Positions, records_max: int) -> list[Record]:
        """Take a share of every partition that has something."""
        ends = {
            at: position + len(self._records.get(at, ()))
            for at, position in positions.next_offsets().items()
        }
        taken: list[Record] = []
        for topic, fetches in positions.fetches(ends, records_max).items():
            for fetch in fetches:
                waiting = self._records[TopicPartition(topic, fetch.partition)]
                taken += [waiting.popleft() for _ in range(fetch.limit)]
        return taken

    def drop(self, at: TopicPartition) -> None:
        """Forget what waits in a partition."""
        self._records.pop(at, None)

    def clear(self) -> None:
        self._records.clear()


def _record_of(fetched: Any) -> Record:
    return Record(
        topic=fetched.topic,
        partition=fetched.partition,
        offset=fetched.offset,
        key=(fetched.key or b"").decode(),
        value=fetched.value or b"",
        # Other producers (Debezium) send a header without value for what there is not.
        headers={name: text.decode() for name, text in fetched.headers if text is not None},
    )
