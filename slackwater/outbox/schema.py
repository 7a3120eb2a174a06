"""The kernel's tables as migration steps, for the first migration of each service.

A migration must do tomorrow what it did when it was first run. So what stands here never changes:
a later change of the kernel's tables is a further function, called by a further migration.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from slackwater.errors import StructuralError

_POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class EventsRemovedError(StructuralError):
    """The table of events lacks some, and that must not be forgotten; put their rows back first."""


def create_kernel_tables(*, events: str) -> None:
    """Create every kernel table; `events` names the table of events."""
    _create_events(events)
    _create_tick()
    _create_inbox()
    _create_consumer_progress()
    _create_idempotency()


def drop_kernel_tables(*, events: str) -> None:
    """Take `create_kernel_tables` back."""
    for table in ("idempotency", "consumer_progress", "inbox", "tick", events):
        op.drop_table(table)


def add_timelines() -> None:
    """Say which timeline ticks and positions count in; those of before have one without a name.

    The two tables are small, so they are made anew: then they are the declared ones to the letter.
    """
    _make_anew(
        "tick",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("timeline", sa.Text(), nullable=False),
        sa.Column("acknowledged", sa.LargeBinary(), nullable=False),
        beginning={"timeline": "", "acknowledged": b"[]"},
    )
    _make_anew(
        "consumer_progress",
        sa.Column("consumer", sa.Text(), primary_key=True),
        sa.Column("topic", sa.Text(), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("timeline", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        beginning={"timeline": ""},
    )


def drop_timelines() -> None:
    """Take `add_timelines` back."""
    op.drop_column("tick", "acknowledged")
    for table in ("tick", "consumer_progress"):
        op.drop_column(table, "timeline")


def add_dead_letters() -> None:
    """Let consumers park what they cannot handle."""
    op.create_table(
        "consumer_hole",
        sa.Column("consumer", sa.Text(), primary_key=True),
        sa.Column("topic", sa.Text(), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("first_offset", sa.BigInteger(), nullable=False),
        sa.Column("last_offset", sa.BigInteger(), nullable=False),
        sa.Column("letters", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    first = ["consumer", "topic", "partition", "first_offset"]
    op.create_index("consumer_hole_first", "consumer_hole", first)
    _create_consumer_dead_letter()


def drop_dead_letters() -> None:
    """Take `add_dead_letters` back."""
    for table in ("consumer_dead_letter", "consumer_hole"):
        op.drop_table(table)


def allow_removal(*, events: str) -> None:
    """Let published events be removed from an outbox, and be taken back from the log."""
    op.create_table(
        "removed",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("events", sa.BigInteger(), nullable=False),
    )
    _create_events(f"{events}_refill")


def forbid_removal(*, events: str) -> None:
    """Take `allow_removal` back, while the table of events has the whole history.

    Raises:
        EventsRemovedError: it lacks some, and without their count nobody would know.
    """
    removed: sa.Select[Any] = sa.select(sa.column("events")).select_from(sa.table("removed"))
    if missing := op.get_bind().execute(removed).scalar_one_or_none():
        raise EventsRemovedError(
            f"{missing} events were removed from {events}, which a release without a count of them "
            "would not know: put their rows back first (docs/how-to/bound-the-outbox.md)"
        )
    op.drop_table(f"{events}_refill")
    op.drop_table("removed")


def order_answers_by_age() -> None:
    """Let the answers to commands be found by their age."""
    op.create_index("idempotency_recorded_at", "idempotency", ["recorded_at"])


def order_answers_by_key_alone() -> None:
    """Take `order_answers_by_age` back."""
    op.drop_index("idempotency_recorded_at", "idempotency")


def add_numbers(*, events: str) -> None:
    """Let the events of an event store be numbered in the order of their publication.

    What has been published before is numbered by the next relay that takes the lead: one of the
    former release may still mark events after this.
    """
    op.add_column(events, sa.Column("number", sa.BigInteger()))
    op.create_index(f"{events}_number", events, ["number"], unique=True)
    without = sa.and_(sa.column("published") == sa.true(), sa.column("number").is_(None))
    op.create_index(
        f"{events}_unnumbered",
        events,
        ["position"],
        sqlite_where=without,
        postgresql_where=without,
    )


def drop_numbers(*, events: str) -> None:
    """Take `add_numbers` back."""
    op.drop_index(f"{events}_unnumbered", events)
    op.drop_index(f"{events}_number", events)
    op.drop_column(events, "number")


def add_snapshots() -> None:
    """Let an event store keep what its streams add up to."""
    op.create_table(
        "snapshot",
        sa.Column("aggregatetype", sa.Text(), primary_key=True),
        sa.Column("aggregateid", sa.Text(), primary_key=True),
        sa.Column("schemaversion", sa.Integer(), primary_key=True),
        sa.Column("version", sa.BigInteger(), primary_key=True),
        sa.Column("eventid", sa.Text(), nullable=False),
        sa.Column("latest_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
    )


def drop_snapshots() -> None:
    """Take `add_snapshots` back."""
    op.drop_table("snapshot")


def add_event_schemas(*, events: str) -> None:
    """Let an event store remember which versions of which event types it may hold."""
    known = op.create_table(
        "event_schema",
        sa.Column("type", sa.Text(), primary_key=True),
        sa.Column("schemaversion", sa.Integer(), primary_key=True),
    )
    stored = sa.table(events, sa.column("type"), sa.column("schemaversion"))
    columns = [stored.c.type, stored.c.schemaversion]
    op.execute(
        sa.insert(known).from_select(["type", "schemaversion"], sa.select(*columns).distinct())
    )


def drop_event_schemas() -> None:
    """Take `add_event_schemas` back."""
    op.drop_table("event_schema")


def add_mined() -> None:
    """Let events be made of the database's own log."""
    op.create_table(
        "mined",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("lsn", sa.BigInteger(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.Text()),
    )


def drop_mined() -> None:
    """Take `add_mined` back."""
    op.drop_table("mined")


def _make_anew(name: str, *columns: sa.Column[Any], beginning: dict[str, Any]) -> None:
    """Put a table with more columns in the place of one; its rows begin with `beginning` there."""
    connection = op.get_bind()
    kept = connection.execute(sa.text(f"SELECT * FROM {name}")).mappings().all()  # noqa: S608 - ours
    op.drop_table(name)
    op.bulk_insert(op.create_table(name, *columns), [{**row, **beginning} for row in kept])


def _create_events(name: str) -> None:
    op.create_table(
        name,
        sa.Column("position", _POSITION, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text(), nullable=False, unique=True),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("aggregatetype", sa.Text(), nullable=False),
        sa.Column("aggregateid", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("schemaversion", sa.Integer(), nullable=False),
        sa.Column("partitionkey", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.Column("correlationid", sa.Text(), nullable=False),
        sa.Column("causationid", sa.Text()),
        sa.Column("actor", sa.Text()),
        sa.Column("traceparent", sa.Text()),
        sa.Column("published", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.UniqueConstraint("aggregatetype", "aggregateid", "version", name=f"{name}_stream"),
        sqlite_autoincrement=True,
    )
    unpublished = sa.column("published") == sa.false()
    op.create_index(
        f"{name}_unpublished",
        name,
        ["position"],
        sqlite_where=unpublished,
        postgresql_where=unpublished,
    )


def _create_tick() -> None:
    op.create_table(
        "tick",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
    )


def _create_inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text(), primary_key=True),
        sa.Column("event_id", sa.Text(), primary_key=True),
    )


def _create_consumer_progress() -> None:
    op.create_table(
        "consumer_progress",
        sa.Column("consumer", sa.Text(), primary_key=True),
        sa.Column("topic", sa.Text(), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
    )


def _create_consumer_dead_letter() -> None:
    op.create_table(
        "consumer_dead_letter",
        sa.Column("consumer", sa.Text(), primary_key=True),
        sa.Column("topic", sa.Text(), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("offset", sa.BigInteger(), primary_key=True),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("parked_at", sa.Text(), nullable=False),
        sa.Column("discarded_by", sa.Text()),
        sa.Column("why", sa.Text()),
        sa.Column("discarded_at", sa.Text()),
    )


def _create_idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.Text(), nullable=False),
    )
