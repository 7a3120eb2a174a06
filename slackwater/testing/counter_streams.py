"""Counters whose truth is in their events: the counting domain, event-sourced.

`CounterStreams` is the `source_type` with which the contracts of sources are run on an event store.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec
from sqlalchemy import Connection, MetaData

from slackwater.event_store.aggregates import Aggregates
from slackwater.event_store.event_store import EventStore
from slackwater.event_store.snapshots import Snapshots
from slackwater.event_store.tables import EventStoreTables
from slackwater.events.event import Recorded
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.testing import counting
from slackwater.testing.relay_contract import Source

SNAPSHOT_EVERY = 4

metadata = MetaData()
tables = EventStoreTables(metadata, events="events")
streams = EventStore(tables, counting.event_types, counting.SOURCE, aggregate_type=counting.COUNTER)


class Count(msgspec.Struct, frozen=True):
    """What the events of a counter add up to: how many there are, and the sum of their values."""

    raised: int
    total: int


def apply(count: Count | None, recorded: Recorded[Any]) -> Count:
    """Return the count as one more event makes it."""
    before = count or Count(0, 0)
    return Count(before.raised + 1, before.total + recorded.body.value)


snapshots = Snapshots(streams, Count, schema_version=1)
counts = Aggregates(streams, snapshots, apply=apply, every=SNAPSHOT_EVERY)


class CounterStreams(Source):
    """A source whose counters are streams of events, with snapshots."""

    tables: ClassVar[KernelTables] = tables
    metadata: ClassVar[MetaData] = metadata

    def raise_by(self, unit: UnitOfWork, counter_id: str) -> None:
        """Append one more event, decided on what the counter's events add up to."""
        loaded = counts.load(unit.connection, counter_id)
        raised = counting.CounterRaised(value=loaded.version + 1)
        unit.run(lambda unit: counts.append(unit, counter_id, loaded, [raised], counter_id))

    def create(self, connection: Connection, counter_ids: Iterable[str]) -> None:
        """Nothing is to be done: a stream begins with its first event."""
