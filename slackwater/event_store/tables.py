"""The tables of an event-sourced service: the kernel's, with numbered events, and snapshots."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

from slackwater.outbox.tables import INFRASTRUCTURE, KernelTables


def snapshot_table(metadata: MetaData) -> Table:
    """Declare what streams had added up to at some of their versions; only ever a cache.

    `eventid` is the event that made the version, `latest_us` the latest time at which an event up
    to it was recorded (microseconds since 1970), `state` JSON at `schemaversion`.
    """
    return Table(
        "snapshot",
        metadata,
        Column("aggregatetype", Text, primary_key=True),
        Column("aggregateid", Text, primary_key=True),
        Column("schemaversion", Integer, primary_key=True),
        Column("version", BigInteger, primary_key=True),
        Column("eventid", Text, nullable=False),
        Column("latest_us", BigInteger, nullable=False),
        Column("state", LargeBinary, nullable=False),
        info=INFRASTRUCTURE,
    )


def event_schema_table(metadata: MetaData) -> Table:
    """Declare which versions of which event types releases of the service may have stored."""
    return Table(
        "event_schema",
        metadata,
        Column("type", Text, primary_key=True),
        Column("schemaversion", Integer, primary_key=True),
        info=INFRASTRUCTURE,
    )


class EventStoreTables(KernelTables):
    """All kernel tables of one event-sourced service, in its own metadata."""

    def __init__(self, metadata: MetaData, *, events: str) -> None:
        super().__init__(metadata, events=events, numbered=True)
        self.snapshot = snapshot_table(metadata)
        self.event_schema = event_schema_table(metadata)
