"""What waits in an outbox is seen at `/metrics`, while its relay leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Connection

from slackwater.database.port import Database
from slackwater.outbox import backlog as backlog_module
from slackwater.outbox.backlog import Backlog, keep_metering, read_backlog
from slackwater.outbox.unpublished import mark_published
from slackwater.testing import counting
from slackwater.testing.clock import ManualClock
from tests.integration.service_bench import OpenDatabase

_EVENTS = counting.tables.events
_DEADLINE_S = 10.0


@pytest.fixture
async def database(open_database: OpenDatabase) -> AsyncIterator[Database]:
    database = open_database("counting")
    await database.transact(counting.metadata.create_all)
    yield database
    await database.close()


async def test_nothing_waits_in_an_empty_outbox(database: Database) -> None:
    assert await _backlog(database) == Backlog(waiting=0, oldest=None, rows_at_most=0)


async def test_what_waits_is_counted_and_the_first_of_it_dated(database: Database) -> None:
    for _ in range(3):
        await database.transact(_raise)
    first = (await _backlog(database)).oldest
    await database.transact(lambda connection: mark_published(connection, _EVENTS, [1]))
    backlog = await _backlog(database)
    assert (backlog.waiting, backlog.rows_at_most) == (2, 3)
    assert first is not None
    assert backlog.oldest is not None
    assert backlog.oldest > first


async def test_no_more_are_counted_than_a_limit(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_module, "_COUNTED_MAX", 2)
    for _ in range(3):
        await database.transact(_raise)
    assert (await _backlog(database)).waiting == 2


async def test_the_age_of_what_waits_grows_by_itself_and_goes_with_the_lead(
    database: Database,
) -> None:
    await database.transact(_raise)
    oldest = (await _backlog(database)).oldest
    assert oldest is not None
    clock = ManualClock(wall=oldest + timedelta(seconds=2))
    metering = asyncio.create_task(keep_metering("counting", _EVENTS, database, clock))
    async with asyncio.timeout(_DEADLINE_S):
        while _metric("slackwater_outbox_waiting_events") is None:
            await asyncio.sleep(0)
    assert _metric("slackwater_outbox_waiting_events") == 1
    assert _metric("slackwater_outbox_rows_at_most") == 1
    assert _metric("slackwater_outbox_oldest_waiting_seconds") == pytest.approx(2)
    clock.advance(ms=3_000)
    assert _metric("slackwater_outbox_oldest_waiting_seconds") == pytest.approx(5)
    metering.cancel()
    await asyncio.wait([metering])
    assert _metric("slackwater_outbox_oldest_waiting_seconds") is None


async def _backlog(database: Database) -> Backlog:
    return await database.read(lambda connection: read_backlog(connection, _EVENTS))


def _raise(connection: Connection) -> None:
    counting.unit_of_work(connection).run(lambda unit: counting.raise_counter(unit, "c"))


def _metric(name: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"source": "counting"})
