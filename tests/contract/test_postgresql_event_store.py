"""An event store on PostgreSQL keeps the contract of every source, and of its numbers."""

from __future__ import annotations

import pytest

from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.testing.counter_streams import CounterStreams
from slackwater.testing.event_store_contract import EventStoreContract
from tests.contract.mined_sources import MinedStreams
from tests.contract.test_mining import TestMinedOutbox as _MinedOutbox
from tests.contract.test_postgresql_relay import TestPostgresqlRelay as _PostgresqlRelay

pytestmark = pytest.mark.engine("postgresql")


class TestPostgresqlEventStore(_PostgresqlRelay, EventStoreContract):
    adapter = PostgresqlDatabase
    source_type = CounterStreams


class TestMinedEventStore(_MinedOutbox, EventStoreContract):
    adapter = PostgresqlDatabase
    source_type = MinedStreams
