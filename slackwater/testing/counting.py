"""The smallest domain there is, for tests of the kernel: counters that are raised by one.

It stands here so that adapters' authors can drive the kernel without a domain of their own.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, insert, select, update

from slackwater.event_log.port import Topic
from slackwater.events.event import Cause, EventBody
from slackwater.events.types import EventTypes
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.unit_of_work import UnitOfWork

SOURCE = "counting"
COUNTER = "counter"
COUNTERS = Topic(name="counting.events", partitions=3)

event_types = EventTypes()
metadata = MetaData()
tables = KernelTables(metadata, events="outbox", is_outbox=True)
counters = Table(
    "counter",
    metadata,
    Column("id", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)


@event_types.register("counting.counter-raised", aggregate_type=COUNTER, topic=COUNTERS)
class CounterRaised(EventBody, frozen=True, kw_only=True):
    """A counter has a new value; its version is the same number."""

    value: int


def unit_of_work(connection: Connection, tables: KernelTables = tables) -> UnitOfWork:
    """Return a unit of work of the counting domain, whose events go to the outbox or elsewhere."""
    return UnitOfWork(
        connection,
        source=SOURCE,
        tables=tables,
        event_types=event_types,
        cause=Cause.start(),
        now=datetime.now(UTC),
    )


def raise_counter(unit: UnitOfWork, counter_id: str) -> int:
    """Raise a counter by one, tell so in an event, and return its new value."""
    connection = unit.connection
    before = connection.execute(
        select(counters.c.value).where(counters.c.id == counter_id)
    ).scalar_one_or_none()
    value = (before or 0) + 1
    if before is None:
        connection.execute(insert(counters).values(id=counter_id, value=value))
    else:
        connection.execute(update(counters).where(counters.c.id == counter_id).values(value=value))
    unit.add(
        CounterRaised(value=value),
        aggregate_id=counter_id,
        version=value,
        partition_key=counter_id,
    )
    return value
