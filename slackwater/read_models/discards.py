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
    """One discarded event, as it stood in the log; `by` and `why` are for whoever asks later.

    `version_before` is what its row was at. A gap is accepted behind that version only: in a
    rebuild that meets a predecessor later it would otherwise cover what is not missing at all.
    """

    record: Record
    treatment: Treatment
    version_before: int
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
        self._beginnings: dict[_Aggregate, int] = {}
        self._gaps: dict[str, int] = {}
        self._unreadable: dict[tuple[TopicPartition, int], Record] = {}
        for discard in discards:
            self.add(discard)

    def add(self, discard: Discard) -> None:
        """Take a discard into account from now on; what leaves more out outdoes an earlier one."""
        record = discard.record
        if discard.treatment is Treatment.UNREADABLE:
            self._unreadable[discard.place] = record
            return
        event = from_headers(record.topic, record.headers, record.value)
        aggregate = _aggregate(event)
        if discard.treatment is Treatment.GAP_ACCEPTED:
            self._gaps[event.id] = discard.version_before
            return
        self._left_out.add(event.id)
        self._versions[aggregate].add(event.version)
        if discard.treatment is Treatment.AGGREGATE_LEFT_OUT:
            first = self._beginnings.get(aggregate, event.version)
            self._beginnings[aggregate] = min(first, event.version)

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
        beginning = self._beginnings.get(_aggregate(event)) if version == 0 else None
        return beginning is not None and beginning < event.version

    def bridge(self, event: Event, version: int) -> bool:
        """Tell whether nothing but what is discarded is missing between a row and its event."""
        if self._gaps.get(event.id) == version:
            return True
        left_out = self._versions.get(_aggregate(event), ())
        return all(each in left_out for each in range(version + 1, event.version))

    def _is_unreadable(self, record: Record) -> bool:
        return self._unreadable.get((record.topic_partition, record.offset)) == record


NO_DISCARDS = Discards()


def _aggregate(event: Event) -> _Aggregate:
    return event.aggregate_type, event.aggregate_id
