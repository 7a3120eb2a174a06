"""An event store on PostgreSQL keeps the contract of every source, and of its numbers."""

from __future__ import annotations

import pytest

from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.testing.counter_streams import CounterStreams
from slackwater.testing.event_source_contract import EventSourceContract
from slackwater.testing.event_store_contract import EventStoreContract
from slackwater.testing.relay_contract import RelayContract
from slackwater.testing.relay_lineage_contract import RelayLineageContract
from slackwater.testing.relay_writers_contract import RelayWritersContract
from tests.contract.mined_sources import MinedStreams
from tests.contract.postgresql_sources import PostgresqlSources
from tests.contract.test_mining import TestMinedOutbox as _MinedOutbox

pytestmark = pytest.mark.engine("postgresql")


class TestPostgresqlEventStore(
    PostgresqlSources,
    RelayContract,
    EventSourceContract,
    RelayLineageContract,
    RelayWritersContract,
    EventStoreContract,
):
    adapter = PostgresqlDatabase
    source_type = CounterStreams


class TestMinedEventStore(_MinedOutbox, EventStoreContract):
    adapter = PostgresqlDatabase
    source_type = MinedStreams
