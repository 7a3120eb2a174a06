"""Demands on subscriptions: a change that is too stale to be shown comes as soon as it may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.freshness.operation import OperationFreshness
from gateway.readers import Readers
from gateway.request import Request
from gateway.schema.schema import make_schema
from slackwater.events.event import Cause
from tests.unit.gateway.freshness_bench import SIGNER, Tide, token
from tests.unit.gateway.schema_stage import Stage, order_document, order_id

SCHEMA = make_schema()
ORDER = """subscription ($id: ID!) {
  orderChanged(id: $id) @freshness(maxStalenessMs: 100, onStale: %s, timeoutMs: %d) { status } }"""


@pytest.fixture
def tide() -> Tide:
    tide = Tide()
    tide.settle()
    return tide


def request(stage: Stage, tide: Tide) -> Request:
    freshness = OperationFreshness(board=tide.board, signer=SIGNER, clock=tide.clock)
    return Request(
        readers=Readers(stage.documents, stage.search, freshness),
        services=stage.request().services,
        board=tide.board,
        signer=SIGNER,
        cause=Cause(correlation_id="corr-1"),
        freshness=freshness,
    )


async def events(
    stage: Stage, tide: Tide, on_stale: str, timeout_ms: int = 1_000
) -> AsyncIterator[Any]:
    stream: Any = await SCHEMA.subscribe(
        ORDER % (on_stale, timeout_ms),
        context_value=request(stage, tide),
        variable_values={"id": order_id(1)},
    )
    return stream


async def begun(stream: AsyncIterator[Any]) -> asyncio.Task[Any]:
    """Ask for the next event and let the subscription come to where it waits."""
    task: asyncio.Task[Any] = asyncio.ensure_future(anext(stream))  # type: ignore[arg-type]
    await asyncio.sleep(0.05)
    return task


async def shown(task: asyncio.Task[Any]) -> Any:
    async with asyncio.timeout(10):
        result = await task
    assert result.errors is None, result.errors
    return result.data["orderChanged"]["status"]


def codes(result: Any) -> list[Any]:
    return [(error.extensions or {}).get("code") for error in result.errors or ()]


async def test_an_event_waits_until_it_is_fresh_enough(stage: Stage, tide: Tide) -> None:
    await stage.orders(order_document(1))
    tide.pass_by(500)
    stream: Any = await events(stage, tide, "WAIT")
    task = await begun(stream)
    assert not task.done()
    tide.settle()
    assert await shown(task) == "APPROVED"
    await stream.aclose()


async def test_every_event_waits_until_it_is_fresh_enough(stage: Stage, tide: Tide) -> None:
    await stage.orders(order_document(1, status="PENDING"))
    stream: Any = await events(stage, tide, "WAIT")
    assert await shown(await begun(stream)) == "PENDING"
    await stage.orders(order_document(1, status="APPROVED"))
    tide.publish("orders")
    tide.pass_by(500)
    tide.apply()
    task = await begun(stream)
    assert not task.done()
    tide.settle()
    assert await shown(task) == "APPROVED"
    await stream.aclose()


@pytest.mark.parametrize("on_stale", ["WAIT", "FAIL"])
async def test_a_change_that_was_refused_is_told_of_once_and_comes_later(
    stage: Stage, tide: Tide, on_stale: str
) -> None:
    await stage.orders(order_document(1))
    tide.pass_by(500)
    stream: Any = await events(stage, tide, on_stale, timeout_ms=0)
    async with asyncio.timeout(10):
        assert codes(await anext(stream)) == ["STALE_READ"]
    task = await begun(stream)
    tide.publish("customers")
    tide.apply()  # something else was projected, and the change is looked at again
    await asyncio.sleep(0.05)
    assert not task.done()
    tide.settle()
    assert await shown(task) == "APPROVED"
    await stream.aclose()


async def test_no_event_is_shown_once_the_source_has_left_the_history_of_the_write(
    stage: Stage, tide: Tide
) -> None:
    await stage.orders(order_document(1, status="PENDING"))
    written = request(stage, tide)
    written.read_after = token(orders=1)
    query = "subscription ($id: ID!) { orderChanged(id: $id) { status } }"
    stream: Any = await SCHEMA.subscribe(
        query, context_value=written, variable_values={"id": order_id(1)}
    )
    assert await shown(await begun(stream)) == "PENDING"
    tide.restore("orders")
    await stage.orders(order_document(1, status="APPROVED"))
    tide.publish("orders")
    tide.apply()
    task = await begun(stream)
    assert not task.done()
    for _ in range(2):  # no answer counts before the log tells of the other history
        tide.pass_by(100)
        tide.settle()
    async with asyncio.timeout(10):
        assert codes(await task) == ["INVALID_CONSISTENCY_TOKEN"]


async def test_no_source_tells_of_changes(stage: Stage, tide: Tide) -> None:
    stream: Any = await events(stage, tide, "SOURCE")
    result = stream if not hasattr(stream, "__anext__") else await anext(stream)
    assert codes(result) == ["GRAPHQL_VALIDATION_FAILED"]
    assert "no write service can answer Subscription.orderChanged" in result.errors[0].message
