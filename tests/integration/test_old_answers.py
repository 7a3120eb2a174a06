"""Answers to repeated commands are kept for as long as a client may rely on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, select

from slackwater.service import answers as answers_module
from slackwater.service.answers import OldAnswers
from tests.integration.service_bench import Answered, OpenDatabase, ServiceBench, running
from write_services.inventory.service import service

_DAY_MS = 86_400_000
_WEEK_S = 7 * 86_400


@pytest.fixture
async def bench(open_database: OpenDatabase) -> AsyncIterator[ServiceBench]:
    async with running(service, open_database) as bench:
        yield bench


async def test_a_repeat_gets_the_first_answer_until_that_is_too_old(bench: ServiceBench) -> None:
    old = _old_answers(bench)
    first = await _add(bench, "tea")
    bench.clock.advance(ms=7 * _DAY_MS)
    assert await old.remove() == 0
    assert await _add(bench, "tea") == first
    bench.clock.advance(ms=1)
    assert await old.remove() == 1
    refused = await _add(bench, "tea")
    assert (refused.status, refused.body["code"]) == (409, "DUPLICATE_SKU")


async def test_a_batch_is_bounded_and_takes_the_oldest(
    bench: ServiceBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers_module, "_BATCH_MAX", 2)
    old = _old_answers(bench)
    for number in range(5):
        await _add(bench, f"tea-{number}")
        bench.clock.advance(ms=1)
    bench.clock.advance(ms=7 * _DAY_MS - 2)
    assert [await old.remove() for _ in range(3)] == [2, 1, 0]
    assert await bench.database.read(_keys) == {"tea-3", "tea-4"}


async def test_instances_remove_at_once_without_harm(bench: ServiceBench) -> None:
    several = [_old_answers(bench) for _ in range(4)]
    for number in range(20):
        await _add(bench, f"tea-{number}")
    bench.clock.advance(ms=8 * _DAY_MS)
    assert sum(await asyncio.gather(*(each.remove() for each in several))) == 20
    assert await bench.database.read(_keys) == set()


async def test_a_clock_that_steps_forward_makes_no_answer_old(bench: ServiceBench) -> None:
    old = _old_answers(bench)
    first = await _add(bench, "tea")
    bench.clock.step_wall(ms=30 * _DAY_MS)
    assert await old.remove() == 0
    assert await _add(bench, "tea") == first


async def _add(bench: ServiceBench, sku: str) -> Answered:
    return await bench.command(
        "add-product",
        key=sku,
        sku=sku,
        name="Tea",
        price={"currency": "EUR", "minor": 100},
        stock=3,
    )


def _old_answers(bench: ServiceBench) -> OldAnswers:
    return OldAnswers(
        service.tables.idempotency,
        session=bench.database,
        clock=bench.clock,
        retention_s=_WEEK_S,
    )


def _keys(connection: Connection) -> set[str]:
    return set(connection.execute(select(service.tables.idempotency.c.key)).scalars())
