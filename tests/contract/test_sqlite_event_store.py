"""An event store on the embedded database keeps every contract of a source, and of its numbers."""

from __future__ import annotations

from slackwater.database.sqlite import SqliteDatabase
from slackwater.testing.counter_streams import CounterStreams
from slackwater.testing.event_store_contract import EventStoreContract
from tests.contract.test_sqlite_relay import TestSqliteRelay as _SqliteRelay


class TestSqliteEventStore(_SqliteRelay, EventStoreContract):
    adapter = SqliteDatabase
    source_type = CounterStreams
