"""The smallest domain there is, for tests of the kernel: counters that are raised by one.

It stands here so that adapters' authors can drive the kernel without a domain of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, insert, select, update

from slackwater.event_log.port import Topic
from slackwater.events.event import Cause, EventBody
from slackwater.events.types import EventTypes
from slackwater.mining.mapping import Inferred, MappedTable, RowChange, RowMapping
from slackwater.outbox.publishing import Publishing
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
    Column("run", Text),  # the correlation id of the last raise
)


@event_types.register("counting.counter-raised", aggregate_type=COUNTER, topic=COUNTERS)
class CounterRaised(EventBody, frozen=True, kw_only=True):
    """A counter has a new value; its version is the same number."""

    value: int


def infer_raises(changes: Sequence[RowChange]) -> Iterator[Inferred]:
    """Tell of every counter that has a value; its row says which run has raised it last."""
    for change in changes:
        row = change.new
        if row is not None and row["value"]:
            body, cause = CounterRaised(value=row["value"]), Cause(correlation_id=row["run"])
            yield Inferred(body, aggregate_id=row["id"], partition_key=row["id"], cause=cause)


mapping = RowMapping(event_types=event_types, tables=(MappedTable(counters),), infer=infer_raises)


def unit_of_work(
    connection: Connection,
    tables: KernelTables = tables,
    publishing: Publishing = Publishing.OUTBOX,
) -> UnitOfWork:
    """Return a unit of work of the counting domain, whose events go to the outbox or elsewhere."""
    return UnitOfWork(
        connection,
        source=SOURCE,
        tables=tables,
        event_types=event_types,
        cause=Cause.start(),
        now=datetime.now(UTC),
        publishing=publishing,
    )


def raise_counter(unit: UnitOfWork, counter_id: str) -> int:
    """Raise a counter by one, tell so in an event, and return its new value."""
    connection = unit.connection
    before = connection.execute(
        select(counters.c.value).where(counters.c.id == counter_id)
    ).scalar_one_or_none()
    value = (before or 0) + 1
    columns = {"value": value, "run": unit.cause.correlation_id}
    if before is None:
        connection.execute(insert(counters).values(id=counter_id, **columns))
    else:
        connection.execute(update(counters).where(counters.c.id == counter_id).values(columns))
    unit.add(
        CounterRaised(value=value),
        aggregate_id=counter_id,
        version=value,
        partition_key=counter_id,
    )
    return value
