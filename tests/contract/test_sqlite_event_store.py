"""An event store on the embedded database keeps every contract of a source, and of its numbers."""

from __future__ import annotations

from slackwater.database.sqlite import SqliteDatabase
from slackwater.testing.counter_streams import CounterStreams
from slackwater.testing.event_source_contract import EventSourceContract
from slackwater.testing.event_store_contract import EventStoreContract
from slackwater.testing.relay_contract import RelayContract
from slackwater.testing.relay_lineage_contract import RelayLineageContract
from slackwater.testing.relay_writers_contract import RelayWritersContract
from tests.contract.test_sqlite_relay import SqliteSources


class TestSqliteEventStore(
    SqliteSources,
    RelayContract,
    EventSourceContract,
    RelayLineageContract,
    RelayWritersContract,
    EventStoreContract,
):
    adapter = SqliteDatabase
    source_type = CounterStreams
