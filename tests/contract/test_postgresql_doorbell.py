"""Doorbells over PostgreSQL: heard by every process, and again after the server was away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from slackwater.database.postgresql_doorbell import PostgresqlDoorbell
from slackwater.testing.doorbell_contract import DoorbellContract, quiet
from tests.postgresql_server import administrator, end_connections, name_of, own_database

pytestmark = pytest.mark.engine("postgresql")

DEADLINE_MS = 10_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("doorbell")


@pytest.fixture(scope="module")
def url(place: Path) -> Iterator[str]:
    with own_database(place) as url:
        yield url


@pytest.fixture
async def bell(url: str, place: Path) -> AsyncIterator[PostgresqlDoorbell]:
    with closing(PostgresqlDoorbell(url)) as doorbell:
        doorbell.listen("anything")
        await until_listening(place, 1)
        yield doorbell


@pytest.fixture
async def other(
    url: str, place: Path, bell: PostgresqlDoorbell
) -> AsyncIterator[PostgresqlDoorbell]:
    with closing(PostgresqlDoorbell(url)) as doorbell:
        doorbell.listen("anything")
        await until_listening(place, 2)
        yield doorbell


async def until_listening(place: Path, count: int) -> None:
    """Wait until that many connections wait for rings."""
    async with asyncio.timeout(DEADLINE_MS / 1000):
        while await asyncio.to_thread(listening, place) != count:
            pass


def listening(place: Path) -> int:
    with administrator() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'LISTEN%%'",
            [name_of(place)],
        ).fetchone()
    assert row is not None
    return int(str(row[0]))


class TestPostgresqlDoorbell(DoorbellContract):
    adapter = PostgresqlDoorbell


async def test_who_only_rings_is_not_woken_by_the_rings_of_others(
    bell: PostgresqlDoorbell, url: str, place: Path
) -> None:
    listener = bell.listen("log/a")
    await quiet(listener)
    with closing(PostgresqlDoorbell(url)) as ringing:
        ringing.ring("log/a")
        assert await listener.wait(timeout_ms=DEADLINE_MS)
        assert await asyncio.to_thread(listening, place) == 1


async def test_every_listener_is_woken_after_the_connection_was_lost(
    bell: PostgresqlDoorbell, place: Path
) -> None:
    listeners = [bell.listen(name) for name in ("log/a", "log/b")]
    await quiet(*listeners)
    assert end_connections(place, "slackwater doorbell") == 1
    for listener in listeners:
        assert await listener.wait(timeout_ms=DEADLINE_MS)


async def test_rings_go_on_after_the_ringing_connection_was_lost(
    bell: PostgresqlDoorbell, other: PostgresqlDoorbell, place: Path
) -> None:
    listener = other.listen("log/a")
    bell.ring("log/a")
    assert await listener.wait(timeout_ms=DEADLINE_MS)
    assert end_connections(place, "slackwater ringer") == 1
    async with asyncio.timeout(DEADLINE_MS / 1000):
        while not await listener.wait(timeout_ms=20):
            bell.ring("log/a")


async def test_without_a_server_rings_stay_in_the_process_and_closing_is_quick() -> None:
    began_s = time.monotonic()
    with closing(PostgresqlDoorbell("postgresql://nobody@127.0.0.1:1/none")) as alone:
        listener = alone.listen("log/a")
        alone.ring("log/a")
        assert await listener.wait(timeout_ms=DEADLINE_MS)
    alone.ring("log/a")
    assert time.monotonic() - began_s < 5
