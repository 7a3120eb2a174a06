"""Channels: how a service's events leave its transaction, so that both happen or neither does."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from sqlalchemy import Connection

from slackwater.events.event import Event
from slackwater.outbox.row import to_row
from slackwater.outbox.tables import KernelTables


class Publishing(StrEnum):
    """How what a service commits is published."""

    OUTBOX = "OUTBOX"
    """Rows in a table of events, which a relay looks for; on every database."""
    LOG_OUTBOX = "LOG_OUTBOX"
    """The same rows, which a miner reads as they come in PostgreSQL's write-ahead log."""


class Channel(Protocol):
    """Takes an event in the transaction of the change that it tells of."""

    def add(self, connection: Connection, event: Event) -> None: ...


class EventTable:
    """Keeps events as rows, until they are published and after."""

    def __init__(self, tables: KernelTables) -> None:
        self._insert = tables.insert_event

    def add(self, connection: Connection, event: Event) -> None:
        connection.execute(self._insert, to_row(event))
