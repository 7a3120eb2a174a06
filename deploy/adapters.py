"""Every port with its adapters and the contracts that all of them pass."""

from __future__ import annotations

from typing import Any, NamedTuple

from deploy.engines.roster import ENGINES
from slackwater.capability import Capability
from slackwater.database.port import Database, DatabaseCapability
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.postgresql_doorbell import PostgresqlDoorbell
from slackwater.database.sqlite import SqliteDatabase
from slackwater.doorbell import Doorbell, DoorbellCapability
from slackwater.event_log.kafka import KafkaEventLog
from slackwater.event_log.port import EventLog, EventLogCapability
from slackwater.event_log.sqlite import SqliteEventLog
from slackwater.read_models.documents import DocumentStore, DocumentStoreCapability
from slackwater.read_models.elasticsearch_search import ElasticsearchSearchIndex
from slackwater.read_models.mongodb_documents import MongodbDocumentStore
from slackwater.read_models.search import SearchCapability, SearchIndex
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.sqlite_search import SqliteSearchIndex
from slackwater.sockets_doorbell import SocketDoorbell
from slackwater.sqlite import driver
from slackwater.testing.database_contract import DatabaseContract
from slackwater.testing.document_store_contract import DocumentStoreContract
from slackwater.testing.doorbell_contract import DoorbellContract
from slackwater.testing.event_log_contract import EventLogContract
from slackwater.testing.event_store_contract import EventStoreContract
from slackwater.testing.progress_store_contract import ProgressStoreContract
from slackwater.testing.relay_cleaning_contract import RelayCleaningContract
from slackwater.testing.relay_contract import RelayContract
from slackwater.testing.relay_lineage_contract import RelayLineageContract
from slackwater.testing.relay_writers_contract import RelayWritersContract
from slackwater.testing.search_index_contract import SearchIndexContract


class Adapter(NamedTuple):
    """One adapter of a port."""

    kind: type[Any]
    setting: str
    tested_on: str


class Port(NamedTuple):
    """One port: its protocol, adapters, what may differ, and what may not."""

    title: str
    protocol: type[Any]
    capabilities: type[Capability]
    adapters: tuple[Adapter, ...]
    contracts: tuple[type[Any], ...]


def _embedded(kind: type[Any], tested_on: str | None = None) -> Adapter:
    sqlite = f"SQLite {driver.dbapi2.sqlite_version}"
    return Adapter(kind, "default", tested_on or sqlite)


def _on_engine(kind: type[Any], name: str) -> Adapter:
    engine = ENGINES[name]
    return Adapter(kind, f"`{engine.setting}`", engine.tested_on)


PORTS = (
    Port(
        "Services' databases",
        Database,
        DatabaseCapability,
        (_embedded(SqliteDatabase), _on_engine(PostgresqlDatabase, "postgresql")),
        (
            DatabaseContract,
            RelayContract,
            RelayLineageContract,
            RelayCleaningContract,
            RelayWritersContract,
            EventStoreContract,
        ),
    ),
    Port(
        "Doorbell",
        Doorbell,
        DoorbellCapability,
        (
            _embedded(SocketDoorbell, "Linux"),
            _on_engine(PostgresqlDoorbell, "postgresql"),
        ),
        (DoorbellContract,),
    ),
    Port(
        "Event log",
        EventLog,
        EventLogCapability,
        (_embedded(SqliteEventLog), _on_engine(KafkaEventLog, "kafka")),
        (EventLogContract,),
    ),
    Port(
        "Documents and progress",
        DocumentStore,
        DocumentStoreCapability,
        (_embedded(SqliteDocumentStore), _on_engine(MongodbDocumentStore, "mongodb")),
        (DocumentStoreContract, ProgressStoreContract),
    ),
    Port(
        "Search",
        SearchIndex,
        SearchCapability,
        (_embedded(SqliteSearchIndex), _on_engine(ElasticsearchSearchIndex, "elasticsearch")),
        (SearchIndexContract,),
    ),
)
