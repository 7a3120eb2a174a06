"""In which timeline a consumer follows each partition, and which records are of it.

A source that was restored, or whose log was lost, publishes its whole history again in a new
timeline. To fold that onto what is left of the old one would drop events as old ones that are new.
So a consumer follows one timeline, and learns from the watermarks in the log which one it is:

    nothing followed yet ──► begin where the newest timeline begins, never before
    a record of another  ──► is ours still the newest? then it is a late one of an old timeline:
                             void; else the histories have parted

The newest watermark is looked at after the record was read. A timeline's first watermark precedes
its events in the log, so no event of a newer timeline is ever taken for a late one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from slackwater.errors import StructuralError, TransientError
from slackwater.event_log.port import Record, TopicPartition
from slackwater.events.cloudevents import TIMELINE_HEADER
from slackwater.watermarks.record import Watermark

NewestByTopic = Callable[[], Awaitable[Mapping[str, Watermark]]]


class PartedError(StructuralError):
    """A source was restored, or its log lost: what was followed of it is no more."""

    def __init__(self, at: TopicPartition, source: str) -> None:
        self.topic_partition = at
        self.source = source
        super().__init__(
            f"{source} was restored or its log was lost: {at.topic}[{at.partition}] goes on in "
            "another timeline than the one that was followed; begin again from where that begins"
        )


class Followed(NamedTuple):
    """A partition's source and timeline, and the offset at which that begins there."""

    source: str
    timeline: str
    beginning: int


class Timelines:
    """What one consumer follows; `newest_by_topic` reads the newest watermarks of the log."""

    def __init__(self, newest_by_topic: NewestByTopic) -> None:
        self._newest_by_topic = newest_by_topic
        self._followed: dict[TopicPartition, Followed] = {}

    async def assigned(
        self, positions: Mapping[TopicPartition, int], timelines: Mapping[TopicPartition, str]
    ) -> dict[TopicPartition, Followed]:
        """Follow partitions from where they were left; return those that begin now, and where.

        Raises:
            PartedError: a partition's timeline is not that of its source any more.
            TransientError: the log says nothing of a source that was followed before.
        """
        begun = await self.begun(positions, timelines)
        for at, followed in begun.items():
            if positions[at] or at in timelines:
                raise PartedError(at, followed.source)
        return begun

    async def begun(
        self, positions: Mapping[TopicPartition, int], timelines: Mapping[TopicPartition, str]
    ) -> dict[TopicPartition, Followed]:
        """Do as `assigned` does, and begin again where the histories have parted.

        Raises:
            TransientError: the log says nothing of a source that was followed before.
        """
        newest = await self._newest_by_topic()
        self._followed = {}
        begun = {}
        for at, position in positions.items():
            watermark = newest.get(at.topic)
            is_new = not position and at not in timelines
            if watermark is None:
                if not is_new:
                    raise _unheard_of(at)
                continue
            self._followed[at] = _begin(at, watermark)
            if is_new or timelines.get(at, "") != watermark.timeline:
                begun[at] = self._followed[at]
        return begun

    async def admit(self, records: Sequence[Record]) -> list[Record]:
        """Return those of the records that are of the timelines that are followed.

        Raises:
            PartedError: a record is of a newer timeline.
            TransientError: the log does not say yet which timeline its source is in.
        """
        newest: Mapping[str, Watermark] | None = None
        admitted = []
        for record in records:
            if not self._is_clear(record):
                newest = newest if newest is not None else await self._newest_by_topic()
                self._judge(record.topic_partition, newest)
            if _timeline(record) == self._followed[record.topic_partition].timeline:
                admitted.append(record)
        return admitted

    def of(self, partitions: Mapping[TopicPartition, object]) -> dict[TopicPartition, str]:
        """Return the timeline that each of the partitions is followed in."""
        return {at: self._followed[at].timeline for at in partitions if at in self._followed}

    def _is_clear(self, record: Record) -> bool:
        """Tell whether nobody need be asked about the record."""
        followed = self._followed.get(record.topic_partition)
        return followed is not None and (
            record.offset < followed.beginning or _timeline(record) == followed.timeline
        )

    def _judge(self, at: TopicPartition, newest: Mapping[str, Watermark]) -> None:
        watermark = newest.get(at.topic)
        if watermark is None:
            raise _unheard_of(at)
        followed = self._followed.setdefault(at, _begin(at, watermark))
        if followed.timeline != watermark.timeline:
            raise PartedError(at, watermark.source)


def _begin(at: TopicPartition, watermark: Watermark) -> Followed:
    return Followed(watermark.source, watermark.timeline, watermark.beginning.get(at, 0))


def _timeline(record: Record) -> str:
    return record.headers.get(TIMELINE_HEADER, "")


def _unheard_of(at: TopicPartition) -> TransientError:
    return TransientError(
        f"the log does not say which timeline {at.topic} is in; see that the relay of its source "
        "runs, which says so"
    )
