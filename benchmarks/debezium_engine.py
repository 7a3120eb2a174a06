"""Debezium's embedded engine over the same outbox: another project's way, to compare ours with.

It reads the log of the same table through the outbox event router and publishes with an idempotent
producer that waits for all in-sync replicas. It does less than a relay of ours: it marks no rows
and claims no ticks. Debezium (Apache License 2.0) runs as a process of its own and is fetched only
for this benchmark, into the cache of the engines.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from psycopg.conninfo import conninfo_to_dict

from benchmarks.contender import Contender
from deploy.engines.digest import check_digest
from deploy.engines.downloads import Cache, Fetching, cache_folder
from deploy.engines.java import find_java
from deploy.engines.maven import Maven
from deploy.engines.tell import tell_about
from slackwater.database.postgresql_connection import RawConnection

VERSION = "3.6.3.Final"
_CONNECT = "4.3.1"
_LOGGING = "2.25.5"
_ARTIFACTS = [
    f"io.debezium:debezium-api:{VERSION}",
    f"io.debezium:debezium-embedded:{VERSION}",
    f"io.debezium:debezium-connector-postgres:{VERSION}",
    f"org.apache.kafka:connect-api:{_CONNECT}",
    f"org.apache.kafka:connect-runtime:{_CONNECT}",
    f"org.apache.kafka:connect-json:{_CONNECT}",
    f"org.apache.kafka:connect-file:{_CONNECT}",
    f"org.apache.kafka:connect-transforms:{_CONNECT}",
    f"org.apache.logging.log4j:log4j-slf4j-impl:{_LOGGING}",
    f"org.apache.logging.log4j:log4j-core:{_LOGGING}",
]
_FETCHED_BYTES = 60_000_000
_JARS_SHA256 = "35df92a14edb3914c2678e1b4556b21f02076ce3ee6f45f2f0ee0c3ce9b8c277"
_JAVA_MIN = 17
_HEAP = "512m"
_COMPILE_S = 120.0
_SOURCES = Path(__file__).parent / "debezium"

# Columns as headers, so that records tell what ours tell; the id is one by itself.
_HEADERS = {
    "type": "ce_type",
    "recorded_at": "ce_time",
    "aggregateid": "ce_subject",
    "aggregatetype": "ce_aggregatetype",
    "version": "ce_aggregateversion",
    "schemaversion": "ce_schemaversion",
    "correlationid": "ce_correlationid",
    "partitionkey": "ce_partitionkey",
}


class Settings(NamedTuple):
    """What a user of Debezium may turn, of its engine and of the producer."""

    engine: Mapping[str, str]
    producer: Mapping[str, str]


DEFAULTS = Settings({}, {})
TUNED = Settings(
    {"poll.interval.ms": "5", "max.batch.size": "8192", "max.queue.size": "32768"},
    {"linger.ms": "0", "batch.size": "131072"},
)


class Debezium(Contender):
    """The engine in a process of its own, which reads a slot that was made before the backlog."""

    def __init__(self, name: str, run: str, url: str, kafka: str, *, settings: Settings) -> None:
        super().__init__(name, run, url, kafka)
        self._settings = settings
        self._folder = TemporaryDirectory(prefix="debezium-")

    def relay_command(self) -> Sequence[str]:
        folder = Path(self._folder.name)
        return [
            *(str(_java() / "bin" / "java"), f"-Xmx{_HEAP}"),
            f"-Dlog4j2.configurationFile={_SOURCES / 'log4j2.xml'}",
            *("-cp", f"{_compiled().name}:{_jars()}/*", "DebeziumRelay"),
            *(str(folder / "engine.properties"), str(folder / "producer.properties")),
        ]

    async def prepare(self) -> None:
        await super().prepare()
        await asyncio.to_thread(_compiled)
        await self.database.outside(self._make_slot)
        folder = Path(self._folder.name)
        _write(folder / "engine.properties", self._engine(folder))
        _write(folder / "producer.properties", self._producer())

    async def close(self) -> None:
        await super().close()
        self._folder.cleanup()

    def _make_slot(self, connection: RawConnection) -> None:
        create = 'CREATE PUBLICATION "{0}" FOR TABLE "{0}".{1} WITH (publish = {2})'
        connection.execute(create.format(self.source, self.tables.events.name, "'insert'"))
        make = "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')"
        connection.execute(make, [self.source])

    def _engine(self, folder: Path) -> dict[str, str]:
        server = conninfo_to_dict(self.url)
        router = "transforms.outbox"
        headers = ",".join(f"{column}:header:{name}" for column, name in _HEADERS.items())
        return {
            "name": self.source,
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "plugin.name": "pgoutput",
            "database.hostname": str(server["host"]),
            "database.port": str(server["port"]),
            "database.user": str(server["user"]),
            "database.password": str(server.get("password") or "none"),
            "database.dbname": str(server["dbname"]),
            "topic.prefix": self.source,
            "slot.name": self.source,
            "publication.name": self.source,
            "publication.autocreate.mode": "disabled",
            "table.include.list": f"{self.source}.{self.tables.events.name}",
            "snapshot.mode": "no_data",
            "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
            "offset.storage.file.filename": str(folder / "offsets"),
            "transforms": "outbox",
            f"{router}.type": "io.debezium.transforms.outbox.EventRouter",
            f"{router}.route.by.field": "topic",
            f"{router}.route.topic.replacement": "${routedByValue}",
            f"{router}.table.field.event.key": "partitionkey",
            f"{router}.table.fields.additional.placement": headers,
            **self._settings.engine,
        }

    def _producer(self) -> dict[str, str]:
        durable = {"acks": "all", "enable.idempotence": "true"}
        return {"bootstrap.servers": self.kafka, **durable, **self._settings.producer}


def _write(path: Path, properties: Mapping[str, str]) -> None:
    lines = (f"{name}={value}\n" for name, value in properties.items())
    path.write_text("".join(lines), encoding="utf-8")


@cache
def _compiled() -> TemporaryDirectory[str]:
    """Return the folder of the compiled program, which goes when this process does."""
    classes = TemporaryDirectory(prefix="debezium-classes-")
    source = _SOURCES / "DebeziumRelay.java"
    compiler = str(_java() / "bin" / "javac")
    subprocess.run(
        [compiler, "-cp", f"{_jars()}/*", "-d", classes.name, str(source)],
        timeout=_COMPILE_S,
        check=True,
    )
    return classes


@cache
def _java() -> Path:
    java = find_java(_JAVA_MIN, full_jdk=True)
    if java is None:
        raise SystemExit(f"Debezium needs a JDK {_JAVA_MIN} or newer; install one, or leave it out")
    return java


@cache
def _jars() -> Path:
    return (
        Cache(cache_folder(), tell_about("debezium")).once(f"debezium-{VERSION}", _fetch) / "jars"
    )


def _fetch(fetching: Fetching) -> None:
    name = f"debezium-{VERSION}"
    jars = Maven(fetching).fetch_jars(name, _ARTIFACTS, total_bytes=_FETCHED_BYTES)
    check_digest(jars, _JARS_SHA256)
