"""Watermark records: what must have been applied to have everything visible before a tick.

One record a tick travels on the topic `watermarks`, keyed by its source. Its claim: whoever has
applied every partition up to `offsets` has applied every event of the source that was visible
before tick (epoch, n) was committed.

A timeline begins with a record that claims nothing: it has no `offsets`. Its `since` says where the
timeline begins in the log: no event of it lies before, and none is appended before that record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from slackwater.event_log.port import NewRecord, OnePartition, Topic, TopicPartition
from slackwater.watermarks.tick import Tick

WATERMARKS = Topic(name="watermarks", partitions=1, retention_records=2_000, keeps_newest=True)

_ALL: Mapping[str, OnePartition] = {}


class Watermark(msgspec.Struct, frozen=True, kw_only=True):
    """The watermark of one tick; `offsets[topic][partition]` is a next offset, as in `since`."""

    source: str
    timeline: str = ""
    epoch: int
    n: int
    clock: datetime
    offsets: dict[str, list[int]]
    since: dict[str, list[int]] = {}

    @property
    def tick(self) -> Tick:
        return Tick(self.epoch, self.n, self.timeline)

    @property
    def topics(self) -> frozenset[str]:
        """All topics of the source; a timeline's first record claims nothing of them yet."""
        return frozenset(self.offsets) | frozenset(self.since)

    @property
    def claimed(self) -> dict[TopicPartition, int]:
        """The next offsets that are claimed; before the first claim, where the timeline begins."""
        return _flat(self.offsets or self.since)

    @property
    def beginning(self) -> dict[TopicPartition, int]:
        """Where the timeline begins in each partition of the source."""
        return _flat(self.since)

    def is_reached_by(
        self,
        positions: Mapping[TopicPartition, int],
        topics: Collection[str],
        only: Mapping[str, OnePartition] = _ALL,
    ) -> bool:
        """Tell whether next offsets `positions` cover all partitions of `topics`.

        `topics` are those of the source that matter to the reader; a missing position counts as 0.
        """
        return self.missing(positions, topics, only) == 0

    def missing(
        self,
        positions: Mapping[TopicPartition, int],
        topics: Collection[str],
        only: Mapping[str, OnePartition] = _ALL,
    ) -> int:
        """Count the events of `topics` up to this watermark that `positions` do not cover.

        Of a topic in `only`, one partition counts; but all do if it has another number of them, as
        then nobody knows where the key's earlier events are.
        """
        return sum(
            max(0, offset - positions.get(TopicPartition(topic, partition), 0))
            for topic in topics
            for partition, offset in self._counted(topic, only.get(topic))
        )

    def _counted(self, topic: str, one: OnePartition | None) -> Iterable[tuple[int, int]]:
        offsets = self.offsets.get(topic, ())
        if one is not None and one.partitions == len(offsets):
            return [(one.partition, offsets[one.partition])]
        return enumerate(offsets)

    def is_followed(
        self,
        positions: Mapping[TopicPartition, int],
        timelines: Mapping[TopicPartition, str],
        topics: Collection[str],
    ) -> bool:
        """Tell whether all that `positions` cover of `topics` is of this watermark's timeline.

        Where nothing is covered yet, nothing can be of another.
        """
        return all(
            timelines.get(at, "") == self.timeline
            for at, position in positions.items()
            if at.topic in topics and (position or at in timelines)
        )

    def to_record(self) -> NewRecord:
        return NewRecord(topic=WATERMARKS.name, key=self.source, value=_encoder.encode(self))

    @classmethod
    def from_value(cls, value: bytes) -> Watermark:
        return _decoder.decode(value)


def by_topic(offsets: Mapping[TopicPartition, int], topics: Iterable[str]) -> dict[str, list[int]]:
    """Return the offsets of each topic's partitions in order, as a watermark carries them."""
    return {
        topic: [offsets[at] for at in sorted(at for at in offsets if at.topic == topic)]
        for topic in topics
    }


def _flat(offsets: Mapping[str, Sequence[int]]) -> dict[TopicPartition, int]:
    return {
        TopicPartition(topic, partition): offset
        for topic, listed in offsets.items()
        for partition, offset in enumerate(listed)
    }


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Watermark)
