"""The inbox: which events a consumer has handled, recorded in the transaction of their effect."""

from __future__ import annotations

from sqlalchemy import Connection

from slackwater.outbox.tables import KernelTables


def is_first_delivery(
    connection: Connection, tables: KernelTables, consumer: str, event_id: str
) -> bool:
    """Record the event as handled; return False when it had been handled before."""
    handled = {"consumer": consumer, "event_id": event_id}
    if connection.execute(tables.select_handled, handled).one_or_none() is not None:
        return False
    connection.execute(tables.insert_handled, handled)
    return True
