"""Opens the adapter that the settings choose for each port: embedded, or a real engine.

Each port is chosen by itself, so any mix works. The drivers of the engines are imported only where
they are used, because embedded storage needs none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slackwater.database.port import Database
from slackwater.database.sqlite import SqliteDatabase
from slackwater.doorbell import Doorbell
from slackwater.errors import ConfigurationError
from slackwater.event_log.namespaced import NamespacedEventLog
from slackwater.event_log.port import EventLog
from slackwater.event_log.sqlite import SqliteEventLog
from slackwater.read_models.documents import DocumentStore
from slackwater.read_models.search import SearchIndex
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.sqlite_search import SqliteSearchIndex
from slackwater.settings import Settings, token_secret
from slackwater.sockets_doorbell import SocketDoorbell

_HEARTBEATS_A_LEASE = 3
_LEASE_MIN_MS = 10_000


class MissingDriverError(ConfigurationError):
    """The driver of an engine is not installed; install `slackwater[engines]`."""


def open_doorbell(settings: Settings) -> Doorbell:
    """Return the doorbell that reaches every process of the services."""
    if settings.postgresql_url is None:
        return SocketDoorbell(settings.data_dir)
    with driver("PostgreSQL"):
        from slackwater.database.postgresql_doorbell import PostgresqlDoorbell
    return PostgresqlDoorbell(settings.postgresql_url)


def open_database(settings: Settings, service: str) -> Database:
    """Return the private database of a service: a file, or a schema of its own."""
    if settings.postgresql_url is None:
        return SqliteDatabase(_database_file(settings, service))
    with driver("PostgreSQL"):
        from slackwater.database.postgresql import PostgresqlDatabase
    return PostgresqlDatabase(
        settings.postgresql_url,
        schema=f"{settings.namespace}_{service}",
        lease_timeout_ms=max(_LEASE_MIN_MS, _HEARTBEATS_A_LEASE * settings.heartbeat_ms),
    )


def has_database(settings: Settings, service: str) -> bool:
    """Tell whether a service may have data there; opening the file that it lacks would make it."""
    return settings.postgresql_url is not None or _database_file(settings, service).exists()


def _database_file(settings: Settings, service: str) -> Path:
    return settings.data_dir / "services" / f"{service}.sqlite"


def open_event_log(settings: Settings, doorbell: Doorbell) -> EventLog:
    """Return the event log; on Kafka its names begin with the namespace."""
    if settings.kafka_url is None:
        return SqliteEventLog(settings.data_dir / "log", doorbell)
    with driver("Kafka"):
        from slackwater.event_log.kafka import KafkaEventLog
        from slackwater.event_log.kafka_driver import KafkaCluster
    log = KafkaEventLog(
        KafkaCluster(bootstrap_servers=settings.kafka_url),
        replication_factor=settings.kafka_replication_factor,
        min_insync_replicas=settings.kafka_min_insync_replicas,
        group_instance_id=settings.kafka_group_instance_id,
    )
    return NamespacedEventLog(log, f"{settings.namespace}.")


def open_documents(settings: Settings, doorbell: Doorbell) -> DocumentStore:
    """Return the store of documents and progress: a file, or a database named by the namespace."""
    if settings.mongodb_url is None:
        return SqliteDocumentStore(settings.data_dir / "documents.sqlite", doorbell)
    with driver("MongoDB"):
        from slackwater.read_models.mongodb_documents import MongodbDocumentStore
    return MongodbDocumentStore(settings.mongodb_url, database=settings.namespace)


def open_search(settings: Settings) -> SearchIndex:
    """Return the search engine; on Elasticsearch its names begin with the namespace."""
    if settings.elasticsearch_url is None:
        return SqliteSearchIndex(settings.data_dir / "search.sqlite")
    with driver("Elasticsearch"):
        from slackwater.read_models.elasticsearch_search import ElasticsearchSearchIndex
    return ElasticsearchSearchIndex(
        settings.elasticsearch_url,
        secret=token_secret(settings),
        prefix=f"{settings.namespace}_",
        api_key=settings.elasticsearch_api_key,
        ca_certs=settings.elasticsearch_ca_certs,
        refresh_interval_ms=settings.search_refresh_interval_ms,
    )


@contextmanager
def driver(engine: str) -> Iterator[None]:
    """Import the engine's driver inside; a missing one is told with its remedy.

    Raises:
        MissingDriverError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDriverError(
            f"{engine}'s driver is not installed ({error.name} is missing); "
            "install requirements-engines.lock, or the extra slackwater[engines]"
        ) from error
