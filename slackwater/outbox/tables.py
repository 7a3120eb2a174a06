"""The tables that the kernel keeps in each service's private database.

A table of events serves as an outbox or as an event store. Rows stay for ever in a store, and in an
outbox unless a retention is set (`slackwater.outbox.cleaner`): when source and log turn out to have
parted, the whole history is published again. Its column names are those of Debezium's outbox event
router, with ours beside them, so that Debezium can stand in for the relay.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    false,
    insert,
    select,
    true,
    update,
)

INFRASTRUCTURE = {"infrastructure": True}
_POSITION = BigInteger().with_variant(Integer, "sqlite")


def is_infrastructure(table: Table) -> bool:
    """Tell whether changes of this table are no change of the service's state."""
    return bool(table.info.get("infrastructure"))


def event_table(name: str, metadata: MetaData, *, numbered: bool = False) -> Table:
    """Declare a table of events: an outbox, or the store of an event-sourced service.

    `position` grows in the order of insertion; `version` counts an aggregate's events without gap.
    With `numbered`, `number` counts all events without gap, in the order of their publication.
    """
    table = Table(
        name,
        metadata,
        Column("position", _POSITION, primary_key=True, autoincrement=True),
        Column("id", Text, nullable=False, unique=True),
        Column("topic", Text, nullable=False),
        Column("aggregatetype", Text, nullable=False),
        Column("aggregateid", Text, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("type", Text, nullable=False),
        Column("schemaversion", Integer, nullable=False),
        Column("partitionkey", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("recorded_at", Text, nullable=False),
        Column("correlationid", Text, nullable=False),
        Column("causationid", Text),
        Column("actor", Text),
        Column("traceparent", Text),
        Column("published", Boolean, nullable=False, server_default=false()),
        *([Column("number", BigInteger)] if numbered else ()),
        UniqueConstraint("aggregatetype", "aggregateid", "version", name=f"{name}_stream"),
        info=INFRASTRUCTURE,
        sqlite_autoincrement=True,
    )
    unpublished = table.c.published == false()
    Index(
        f"{name}_unpublished",
        table.c.position,
        sqlite_where=unpublished,
        postgresql_where=unpublished,
    )
    if numbered:
        _index_numbers(table)
    return table


def is_numbered(table: Table) -> bool:
    """Tell whether a table of events gives its events numbers."""
    return "number" in table.c


def unnumbered(table: Table) -> ColumnElement[bool]:
    """Return what is true of an event that was published by a release that knew no numbers."""
    return and_(table.c.published == true(), table.c.number.is_(None))


def _index_numbers(table: Table) -> None:
    Index(f"{table.name}_number", table.c.number, unique=True)
    without = unnumbered(table)
    Index(
        f"{table.name}_unnumbered",
        table.c.position,
        sqlite_where=without,
        postgresql_where=without,
    )


def tick_table(metadata: MetaData) -> Table:
    """Declare the one-row table of the source's tick, with the timeline that it counts in.

    `acknowledged` is JSON: next offsets before which the log has all, as known at the last tick or
    mark.
    """
    return Table(
        "tick",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("epoch", BigInteger, nullable=False),
        Column("n", BigInteger, nullable=False),
        Column("timeline", Text, nullable=False),
        Column("acknowledged", LargeBinary, nullable=False),
        info=INFRASTRUCTURE,
    )


class Removal(NamedTuple):
    """The tables of an outbox whose rows may be removed once they are published.

    `removed` has one row: how many events of the history are no longer in the table of events.
    `refill` gathers them where they are taken back from the log; it is empty otherwise.
    """

    removed: Table
    refill: Table


def removal_tables(events: str, metadata: MetaData) -> Removal:
    """Declare what an outbox needs whose rows may be removed."""
    removed = Table(
        "removed",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("events", BigInteger, nullable=False),
        info=INFRASTRUCTURE,
    )
    return Removal(removed, event_table(f"{events}_refill", metadata))


def mined_table(metadata: MetaData) -> Table:
    """Declare the row that says how far events have been made of the database's own log.

    There is one only where events are made so, by `way`: those of all transactions whose commit
    lies before `lsn`, and the first `taken` behind it, are in the table of events. `system` is the
    server whose log that is; `lost` says why some can never be had.
    """
    return Table(
        "mined",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("way", Text, nullable=False),
        Column("system", Text, nullable=False),
        Column("lsn", BigInteger, nullable=False),
        Column("taken", BigInteger, nullable=False),
        Column("lost", Text),
        info=INFRASTRUCTURE,
    )


def inbox_table(metadata: MetaData) -> Table:
    """Declare the record of what each consumer has handled."""
    return Table(
        "inbox",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("event_id", Text, primary_key=True),
        info=INFRASTRUCTURE,
    )


def consumer_progress_table(metadata: MetaData) -> Table:
    """Declare how far each consumer has come; the truth, where the log's own is a hint.

    A position counts in the timeline that it stands beside; at position 0 that may be empty.
    """
    return Table(
        "consumer_progress",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("position", BigInteger, nullable=False),
        Column("timeline", Text, nullable=False),
        Column("fence", BigInteger, nullable=False),
        info=INFRASTRUCTURE,
    )


def consumer_hole_table(metadata: MetaData) -> Table:
    """Declare which keys each consumer has parked, and from which offset of their partition on."""
    table = Table(
        "consumer_hole",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("first_offset", BigInteger, nullable=False),
        Column("last_offset", BigInteger, nullable=False),
        Column("letters", BigInteger, nullable=False),
        Column("error", Text, nullable=False),
        Column("reason", Text, nullable=False),
        info=INFRASTRUCTURE,
    )
    first = table.c.consumer, table.c.topic, table.c.partition, table.c.first_offset
    Index("consumer_hole_first", *first)
    return table


def consumer_dead_letter_table(metadata: MetaData) -> Table:
    """Declare the events that consumers have parked, and those that they go without.

    `headers` is JSON. An event that was discarded stays, with who decided it and why.
    """
    return Table(
        "consumer_dead_letter",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("offset", BigInteger, primary_key=True),
        Column("value", LargeBinary, nullable=False),
        Column("headers", LargeBinary, nullable=False),
        Column("error", Text),
        Column("reason", Text),
        Column("parked_at", Text, nullable=False),
        Column("discarded_by", Text),
        Column("why", Text),
        Column("discarded_at", Text),
        info=INFRASTRUCTURE,
    )


def idempotency_table(metadata: MetaData) -> Table:
    """Declare the answers given to commands that came with an idempotency key."""
    table = Table(
        "idempotency",
        metadata,
        Column("key", Text, primary_key=True),
        Column("fingerprint", Text, nullable=False),
        Column("status", Integer, nullable=False),
        Column("answer", LargeBinary, nullable=False),
        Column("recorded_at", Text, nullable=False),
        info=INFRASTRUCTURE,
    )
    Index("idempotency_recorded_at", table.c.recorded_at)
    return table


class KernelTables:
    """All kernel tables of one service, in its own metadata."""

    def __init__(
        self, metadata: MetaData, *, events: str, is_outbox: bool = False, numbered: bool = False
    ) -> None:
        """Declare them; `events` names the table of events.

        `is_outbox` says that events may be removed once they are published, which an event store
        never does; `numbered` that they are numbered as they are published, so that one can be
        followed.
        """
        self.events = event_table(events, metadata, numbered=numbered)
        self.removal = removal_tables(events, metadata) if is_outbox else None
        self.tick = tick_table(metadata)
        self.mined = mined_table(metadata)
        self.inbox = inbox_table(metadata)
        self.consumer_progress = consumer_progress_table(metadata)
        self.consumer_hole = consumer_hole_table(metadata)
        self.consumer_dead_letter = consumer_dead_letter_table(metadata)
        self.idempotency = idempotency_table(metadata)
        # Built once: building a statement costs more than executing it.
        self.insert_event = insert(self.events).inline()  # nobody asks for the position
        self.insert_handled = insert(self.inbox)
        progress = self.consumer_progress
        self.update_consumer_progress = update(progress).where(
            progress.c.consumer == bindparam("of_consumer"),
            progress.c.topic == bindparam("of_topic"),
            progress.c.partition == bindparam("of_partition"),
            progress.c.fence == bindparam("of_fence"),
            progress.c.position == bindparam("from_position"),
        )
        self.select_handled = select(self.inbox.c.event_id).where(
            self.inbox.c.consumer == bindparam("consumer"),
            self.inbox.c.event_id.in_(bindparam("event_ids", expanding=True)),
        )
