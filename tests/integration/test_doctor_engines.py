"""`slackwater doctor` on the real engines: well, away, silent, and not set up as they should be."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymongo
import pytest
from elasticsearch import Elasticsearch
from psycopg import sql

from slackwater.event_log.kafka_driver import (
    AdminClient,
    KafkaCluster,
    NewTopic,
)
from slackwater.manifest import Manifest
from tests.doctor_run import Diagnosis, diagnose, run_doctor
from tests.engines import engine_settings, engine_url, on_all_engines
from tests.postgresql_server import administrator, own_database

Settings = dict[str, str]

_DEADLINE_S = 60.0  # a quarter of it where the machine is not busy
_CREATE_TOPICS = "slackwater topics create (a service that starts does it, too)"
_MIGRATE = "slackwater db migrate (a service that starts does it, too)"
_NOBODY_LISTENS = {
    "PostgreSQL": "postgresql://joe:secret@127.0.0.1:1/slackwater",
    "Kafka": "127.0.0.1:1",
    "MongoDB": "mongodb://joe:secret@127.0.0.1:1/",
    "Elasticsearch": "http://joe:secret@127.0.0.1:1",
}


def _on_all_engines(test: Any) -> Any:
    for mark in on_all_engines():
        test = mark(test)
    return test


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """The environment of an installation on all engines, with names and a database of its own."""
    with own_database(tmp_path) as postgresql_url:
        settings = {**engine_settings(), "SLACKWATER_POSTGRESQL_URL": postgresql_url}
        yield settings
        _with_topics(lambda admin: admin.delete_topics(_topics(settings)))


@pytest.fixture
def on_kafka() -> Iterator[Settings]:
    """The same with the event log on Kafka, and nothing else on an engine."""
    settings = {
        "SLACKWATER_KAFKA_URL": engine_url("kafka"),
        "SLACKWATER_NAMESPACE": f"test_{secrets.token_hex(4)}",
    }
    yield settings
    _with_topics(lambda admin: admin.delete_topics(_topics(settings)))


@pytest.fixture
def on_postgresql(tmp_path: Path) -> Iterator[Settings]:
    with own_database(tmp_path) as url:
        yield {"SLACKWATER_POSTGRESQL_URL": url}


@_on_all_engines
def test_an_installation_that_was_set_up_is_well(settings: Settings, tmp_path: Path) -> None:
    _set_up(tmp_path, settings, "db", "migrate")
    _set_up(tmp_path, settings, "topics", "create")
    diagnosis = diagnose(tmp_path, settings=settings)
    assert diagnosis.status == 0
    assert diagnosis.broken() == []
    for subject, check in [
        ("PostgreSQL", "migrations of orders"),
        ("PostgreSQL", "rights"),
        ("Kafka", "topics"),
        ("Kafka", "partitions"),
        ("Kafka", "retention"),
        ("MongoDB", "rights"),
        ("MongoDB", "durable write"),
        ("Elasticsearch", "version"),
        ("Elasticsearch", "rights"),
    ]:
        assert diagnosis.finding(subject, check)["verdict"] == "ok", (subject, check)


@_on_all_engines
def test_what_is_not_set_up_yet_is_a_caution_that_names_the_command(
    settings: Settings, tmp_path: Path
) -> None:
    diagnosis = diagnose(tmp_path, settings=settings)
    assert diagnosis.status == 0
    topics = diagnosis.finding("Kafka", "topics")
    assert topics["verdict"] == "caution"
    assert all(name in topics["found"] for name in _topics(settings))
    assert topics["remedy"] == _CREATE_TOPICS
    migrations = diagnosis.finding("PostgreSQL", "migrations of customers")
    assert migrations["verdict"] == "caution"
    assert migrations["remedy"] == _MIGRATE


@_on_all_engines
def test_an_examination_leaves_nothing_behind(settings: Settings, tmp_path: Path) -> None:
    diagnose(tmp_path, settings=settings)
    namespace = settings["SLACKWATER_NAMESPACE"]
    with pymongo.MongoClient[dict[str, Any]](engine_url("mongodb")) as client:
        assert client[namespace].list_collection_names() == []
    with Elasticsearch(engine_url("elasticsearch")) as client:
        assert client.indices.get(index=f"{namespace}_*").body == {}
    with psycopg.connect(settings["SLACKWATER_POSTGRESQL_URL"]) as connection:
        made = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)"
        assert connection.execute(made, [namespace]).fetchall() == []
    assert list(tmp_path.iterdir()) == []


@_on_all_engines
@pytest.mark.parametrize("away", _NOBODY_LISTENS)
def test_one_engine_away_is_broken_and_the_others_are_examined(
    away: str, settings: Settings, tmp_path: Path
) -> None:
    name = f"SLACKWATER_{away.upper()}_URL"
    began_s = time.monotonic()
    diagnosis = diagnose(tmp_path, settings={**settings, name: _NOBODY_LISTENS[away]})
    assert time.monotonic() - began_s < _DEADLINE_S
    assert diagnosis.status == 1
    [finding] = diagnosis.subject(away)
    assert (finding["check"], finding["verdict"]) == ("reachable", "broken")
    assert finding["remedy"] == f"start it, or correct {name}"
    assert [each[0] for each in diagnosis.broken()] == [away]
    for other in _NOBODY_LISTENS.keys() - {away}:
        assert len(diagnosis.subject(other)) > 4


def test_engines_that_never_answer_are_broken_within_their_deadline(tmp_path: Path) -> None:
    with ExitStack() as stack:
        settings = {
            f"SLACKWATER_{name.upper()}_URL": url.replace(":1", f":{_silent_port(stack)}")
            for name, url in _NOBODY_LISTENS.items()
        }
        began_s = time.monotonic()
        ran = run_doctor(tmp_path, settings=settings)
    assert time.monotonic() - began_s < _DEADLINE_S
    assert ran.returncode == 1
    assert ran.stdout.count("broken   reachable") == len(_NOBODY_LISTENS)
    assert "folder writable" in ran.stdout
    assert "secret" not in ran.stdout + ran.stderr


@pytest.mark.engine("kafka")
def test_a_topic_with_other_partitions_is_broken(on_kafka: Settings, tmp_path: Path) -> None:
    topic = f"{on_kafka['SLACKWATER_NAMESPACE']}.orders.events"
    _with_topics(lambda admin: admin.create_topics([NewTopic(topic, 3, 1)]))
    finding = diagnose(tmp_path, settings=on_kafka).finding("Kafka", "partitions")
    assert finding["verdict"] == "broken"
    assert finding["found"] == f"{topic} has 3, not 4"


@pytest.mark.engine("kafka")
def test_events_that_expire_are_broken_until_topics_create(
    on_kafka: Settings, tmp_path: Path
) -> None:
    topic = f"{on_kafka['SLACKWATER_NAMESPACE']}.orders.events"
    expiring = NewTopic(topic, 4, 1, topic_configs={"retention.ms": "60000"})
    _with_topics(lambda admin: admin.create_topics([expiring]))
    finding = diagnose(tmp_path, settings=on_kafka).finding("Kafka", "retention")
    assert finding["verdict"] == "broken"
    assert finding["found"] == f"retention.ms is 60000, not -1, on {topic}"
    assert finding["remedy"].startswith("slackwater topics create")
    _set_up(tmp_path, on_kafka, "topics", "create")
    assert diagnose(tmp_path, settings=on_kafka).broken() == []


@pytest.mark.engine("kafka")
def test_more_copies_than_brokers_are_broken(on_kafka: Settings, tmp_path: Path) -> None:
    on_kafka["SLACKWATER_KAFKA_REPLICATION_FACTOR"] = "99"
    finding = diagnose(tmp_path, settings=on_kafka).finding("Kafka", "replication factor")
    assert finding["verdict"] == "broken"
    assert "lower SLACKWATER_KAFKA_REPLICATION_FACTOR" in finding["remedy"]


@pytest.mark.engine("kafka")
def test_more_copies_in_sync_than_topics_have_are_broken(
    on_kafka: Settings, tmp_path: Path
) -> None:
    _set_up(tmp_path, on_kafka, "topics", "create")
    on_kafka["SLACKWATER_KAFKA_MIN_INSYNC_REPLICAS"] = "2"
    diagnosis = diagnose(tmp_path, settings=on_kafka)
    assert [each[1] for each in diagnosis.broken()] == ["min.insync.replicas", "copies"]
    settings = diagnosis.finding("Kafka", "topic settings")
    assert settings["verdict"] == "caution"
    assert settings["remedy"] == "slackwater topics create sets it right"


@pytest.mark.engine("postgresql")
def test_a_database_that_forgets_acknowledged_writes_is_broken(
    on_postgresql: Settings, tmp_path: Path
) -> None:
    name = urlsplit(on_postgresql["SLACKWATER_POSTGRESQL_URL"]).path.removeprefix("/")
    with administrator() as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name))
        )
    diagnosis = diagnose(tmp_path, settings=on_postgresql)
    assert [each[:2] for each in diagnosis.broken()] == [("PostgreSQL", "synchronous_commit")]
    finding = diagnosis.finding("PostgreSQL", "synchronous_commit")
    assert finding["remedy"] == "set synchronous_commit = on"


@pytest.mark.engine("postgresql")
def test_tables_of_a_newer_program_are_broken(on_postgresql: Settings, tmp_path: Path) -> None:
    _set_up(tmp_path, on_postgresql, "db", "migrate")
    with psycopg.connect(on_postgresql["SLACKWATER_POSTGRESQL_URL"]) as connection:
        connection.execute("UPDATE slackwater_orders.alembic_version SET version_num = '9999'")
    diagnosis = diagnose(tmp_path, settings=on_postgresql)
    assert [each[:2] for each in diagnosis.broken()] == [("PostgreSQL", "migrations of orders")]


@pytest.mark.engine("postgresql")
def test_a_role_without_rights_is_broken_and_told_what_to_grant(
    on_postgresql: Settings, tmp_path: Path
) -> None:
    url = urlsplit(on_postgresql["SLACKWATER_POSTGRESQL_URL"])
    role = f"reader_{secrets.token_hex(4)}"
    with administrator() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        try:
            own = url._replace(netloc=f"{role}@{url.hostname}:{url.port}").geturl()
            diagnosis = diagnose(tmp_path, settings={"SLACKWATER_POSTGRESQL_URL": own})
        finally:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    [broken] = diagnosis.broken()
    assert broken[:2] == ("PostgreSQL", "rights")
    remedy = diagnosis.finding("PostgreSQL", "rights")["remedy"]
    assert f'GRANT CREATE ON DATABASE "{url.path[1:]}" TO "{role}"' in remedy


def _set_up(data_dir: Path, settings: Settings, *command: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "slackwater.command_line", *command, "--data-dir", str(data_dir)],
        check=True,
        capture_output=True,
        timeout=_DEADLINE_S,
        env={**os.environ, **settings},
    )


def _topics(settings: Settings) -> list[str]:
    return [f"{settings['SLACKWATER_NAMESPACE']}.{topic.name}" for topic in Manifest().topics()]


def _with_topics(work: Callable[[AdminClient], Awaitable[Any]]) -> None:
    async def run() -> None:
        admin = AdminClient(**KafkaCluster(bootstrap_servers=engine_url("kafka")).options())
        await admin.start()
        try:
            await work(admin)
        finally:
            await admin.close()

    asyncio.run(run())


def _silent_port(stack: ExitStack) -> int:
    """Return a port that takes connections and never says a word."""
    port: int = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
    return port


@pytest.mark.engine("postgresql")
def test_mining_is_examined_where_it_was_chosen_and_a_slot_that_nobody_needs_is_told(
    on_postgresql: Settings, tmp_path: Path
) -> None:
    settings = {**on_postgresql, "SLACKWATER_NAMESPACE": f"test_{secrets.token_hex(4)}"}
    assert _verdict(diagnose(tmp_path, settings=settings), "slot of orders") == "ok"
    mined = {**settings, "SLACKWATER_PUBLISHING": '{"orders": "LOG_OUTBOX"}'}
    diagnosis = diagnose(tmp_path, settings=mined)
    assert _verdict(diagnosis, "wal_level") == "ok"
    assert _verdict(diagnosis, "max_slot_wal_keep_size") == "ok"
    assert _verdict(diagnosis, "replication right") == "ok"
    assert "1 are wanted" in diagnosis.finding("PostgreSQL", "slots left")["found"]
    assert "1 are wanted" in diagnosis.finding("PostgreSQL", "WAL senders left")["found"]
    assert _verdict(diagnosis, "slot of orders") == "caution"
    with psycopg.connect(on_postgresql["SLACKWATER_POSTGRESQL_URL"], autocommit=True) as connection:
        connection.execute(
            "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
            [f"{settings['SLACKWATER_NAMESPACE']}_orders"],
        )
    idle = diagnose(tmp_path, settings=mined).finding("PostgreSQL", "slot of orders")
    assert "nobody streams from it" in idle["found"]
    unwanted = diagnose(tmp_path, settings=settings).finding("PostgreSQL", "slot of orders")
    assert unwanted["verdict"] == "caution"
    assert "pg_drop_replication_slot" in unwanted["remedy"]


@pytest.mark.engine("postgresql")
def test_a_way_of_publishing_that_would_forget_events_is_broken_and_so_are_lost_ones(
    on_postgresql: Settings, tmp_path: Path
) -> None:
    namespace = f"test_{secrets.token_hex(4)}"
    settings = {**on_postgresql, "SLACKWATER_NAMESPACE": namespace}
    _set_up(tmp_path, settings, "db", "migrate")
    assert _verdict(diagnose(tmp_path, settings=settings), "publishing of inventory") == "ok"
    with psycopg.connect(on_postgresql["SLACKWATER_POSTGRESQL_URL"], autocommit=True) as connection:
        mined = sql.Identifier(f"{namespace}_inventory", "mined")
        add = "INSERT INTO {} (id, way, system, lsn, taken) VALUES (1, 'LOG_MESSAGES', '1', 1, 0)"
        connection.execute(sql.SQL(add).format(mined))
        polled = diagnose(tmp_path, settings=settings)
        forgets = polled.finding("PostgreSQL", "publishing of inventory")
        assert forgets["verdict"] == "broken"
        assert "set LOG_OUTBOX" in forgets["remedy"]
        by_messages = {**settings, "SLACKWATER_PUBLISHING": '{"inventory": "LOG_MESSAGES"}'}
        assert _verdict(diagnose(tmp_path, settings=by_messages), "publishing of inventory") == "ok"
        by_rows = {**settings, "SLACKWATER_PUBLISHING": '{"inventory": "LOG_OUTBOX"}'}
        assert (
            _verdict(diagnose(tmp_path, settings=by_rows), "publishing of inventory") == "caution"
        )
        connection.execute(sql.SQL("UPDATE {} SET lost = 'a slot'").format(mined))
        lost = diagnose(tmp_path, settings=by_messages)
        assert _verdict(lost, "publishing of inventory") == "broken"


def _verdict(diagnosis: Diagnosis, check: str) -> str:
    return str(diagnosis.finding("PostgreSQL", check)["verdict"])
