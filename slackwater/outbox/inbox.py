"""The inbox: which events a consumer has handled, recorded in the transaction of their effect."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from slackwater.outbox.tables import KernelTables


def handled_before(
    connection: Connection, tables: KernelTables, consumer: str, event_ids: Collection[str]
) -> set[str]:
    """Return those of the events that the consumer has handled."""
    if not event_ids:
        return set()
    asked = {"consumer": consumer, "event_ids": list(event_ids)}
    return set(connection.execute(tables.select_handled, asked).scalars())


def record_handled(
    connection: Connection, tables: KernelTables, consumer: str, event_ids: Collection[str]
) -> None:
    """Record events as handled that were not before."""
    if event_ids:
        rows = [{"consumer": consumer, "event_id": event_id} for event_id in event_ids]
        connection.execute(tables.insert_handled, rows)
