"""Discards: what somebody decided that a read model shall go without, and why.

A discard is of the read model and not of one version of it: a rebuild leaves out the same, so that
readers find after a switch what they found before it. The event itself stays in the log.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from slackwater.event_log.port import Record, TopicPartition
from slackwater.events.cloudevents import from_headers
from slackwater.events.event import Event

_Aggregate = tuple[str, str]


class Treatment(StrEnum):
    """How a discarded event is passed."""

    LEFT_OUT = "LEFT_OUT"
    """It is not applied, and its aggregate goes on behind it."""
    GAP_ACCEPTED = "GAP_ACCEPTED"
    """It is applied, although events before it are missing."""
    AGGREGATE_LEFT_OUT = "AGGREGATE_LEFT_OUT"
    """It is not applied, and nothing else of its aggregate is, as its beginning is missing."""
    UNREADABLE = "UNREADABLE"
    """It does not say which rows it is about, so none is touched."""


class Discard(msgspec.Struct, frozen=True, kw_only=True):
    """One discarded event, as it stood in the log; `by` and `why` are for whoever asks later."""

    record: Record
    treatment: Treatment
    error: str
    reason: str
    by: str
    why: str
    discarded_at: datetime

    @property
    def place(self) -> tuple[TopicPartition, int]:
        return self.record.topic_partition, self.record.offset


class Discards:
    """What is known of the discards of one read model while events are folded."""

    def __init__(self, discards: Iterable[Discard] = ()) -> None:
        self._left_out: set[str] = set()
        self._versions: defaultdict[_Aggregate, set[int]] = defaultdict(set)
        self._gaps: set[str] = set()
        self._unreadable: dict[tuple[TopicPartition, int], Record] = {}
        for discard in discards:
            self.add(discard)

    def add(self, discard: Discard) -> None:
        """Take a discard into account from now on; it replaces an earlier one of the event."""
        record = discard.record
        if discard.treatment is Treatment.UNREADABLE:
            self._unreadable[discard.place] = record
            return
        event = from_headers(record.topic, record.headers, record.value)
        if discard.treatment is Treatment.GAP_ACCEPTED:
            self._gaps.add(event.id)
        else:
            self._left_out.add(event.id)
            self._versions[_aggregate(event)].add(event.version)

    def read(self, records: Sequence[Record]) -> list[Event]:
        """Return the events of records, without those that are discarded as unreadable.

        Raises:
            PoisonousEventError: another one cannot be read.
        """
        return [
            from_headers(record.topic, record.headers, record.value)
            for record in records
            if not self._unreadable or not self._is_unreadable(record)
        ]

    def leaves_out(self, event: Event, version: int) -> bool:
        """Tell whether an event is left out of a row that is at this version of its aggregate."""
        if event.id in self._left_out:
            return True
        return version == 0 and any(
            left_out < event.version for left_out in self._versions.get(_aggregate(event), ())
        )

    def bridge(self, event: Event, version: int) -> bool:
        """Tell whether nothing but what is discarded is missing between a row and its event."""
        missing = range(version + 1, event.version)
        left_out = self._versions.get(_aggregate(event), ())
        return event.id in self._gaps or all(each in left_out for each in missing)

    def _is_unreadable(self, record: Record) -> bool:
        return self._unreadable.get((record.topic_partition, record.offset)) == record


NO_DISCARDS = Discards()


def _aggregate(event: Event) -> _Aggregate:
    return event.aggregate_type, event.aggregate_id
