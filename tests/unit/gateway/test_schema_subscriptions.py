"""Subscriptions: the current value first, then every change that has been projected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from tests.unit.gateway.schema_stage import (
    Stage,
    customer_document,
    customer_id,
    order_document,
    order_id,
)

_ORDER = """subscription ($id: ID!) { orderChanged(id: $id) { status customer { name } } }"""


async def _next(events: AsyncIterator[Any]) -> Any:
    async with asyncio.timeout(10):
        result = await anext(events)
    assert result.errors is None, result.errors
    return result.data


async def test_an_order_is_shown_now_and_whenever_it_has_changed(stage: Stage) -> None:
    await stage.customers(customer_document([], name="First"))
    await stage.orders(order_document(1, status="PENDING"))
    events = stage.subscribe(_ORDER, id=order_id(1))
    shown = (await _next(events))["orderChanged"]
    assert shown == {"status": "PENDING", "customer": {"name": "First"}}
    await stage.orders(order_document(2))  # another's change is no event of this one
    await stage.customers(customer_document([], name="Second"))
    await stage.orders(order_document(1, status="APPROVED"))
    shown = (await _next(events))["orderChanged"]
    assert shown == {"status": "APPROVED", "customer": {"name": "Second"}}


async def test_a_customer_is_shown_now_and_whenever_it_has_changed(stage: Stage) -> None:
    await stage.customers(customer_document([], name="First"))
    query = "subscription ($id: ID!) { customerChanged(id: $id) { name orderCount } }"
    events = stage.subscribe(query, id=customer_id())
    assert (await _next(events))["customerChanged"]["name"] == "First"
    await stage.customers(customer_document([order_document(1)], name="First"))
    assert (await _next(events))["customerChanged"]["orderCount"] == 1


async def test_a_change_that_comes_with_another_version_is_shown(stage: Stage) -> None:
    await stage.customers(customer_document([], name="First"))
    await stage.orders(order_document(1, status="PENDING"))
    events = stage.subscribe(_ORDER, id=order_id(1))
    assert (await _next(events))["orderChanged"]["status"] == "PENDING"
    # In the version that was built meanwhile, the order is at the same revision.
    await stage.rebuilt_orders(order_document(1, status="APPROVED"))
    async with asyncio.timeout(3):  # it is looked at again after five seconds in any case
        assert (await _next(events))["orderChanged"]["status"] == "APPROVED"


async def test_an_order_that_is_projected_only_later_is_shown_then(stage: Stage) -> None:
    stage.services.on_query("order", order_document(1))
    events = stage.subscribe(_ORDER, id=order_id(1))
    first = asyncio.ensure_future(_next(events))
    await asyncio.sleep(0.05)
    assert not first.done()
    await stage.orders(order_document(1))
    assert (await first)["orderChanged"]["status"] == "APPROVED"


async def _first_codes(stage: Stage, query: str, id_: str) -> list[str]:
    events = stage.subscribe(query, id=id_)
    async with asyncio.timeout(10):
        result = await anext(events)
    return [error.extensions["code"] for error in result.errors]


async def test_what_nobody_knows_is_not_waited_for(stage: Stage) -> None:
    assert await _first_codes(stage, _ORDER, order_id(404)) == ["BAD_USER_INPUT"]
    query = "subscription ($id: ID!) { customerChanged(id: $id) { name } }"
    assert await _first_codes(stage, query, customer_id("nobody")) == ["BAD_USER_INPUT"]


async def test_what_cannot_be_asked_about_is_waited_for(stage: Stage) -> None:
    stage.services.trouble = httpx2.ReadError("the service has gone")
    first = asyncio.ensure_future(_next(stage.subscribe(_ORDER, id=order_id(1))))
    await asyncio.sleep(0.05)
    assert not first.done()
    await stage.orders(order_document(1))
    assert (await first)["orderChanged"]["status"] == "APPROVED"


async def test_an_id_that_is_none_ends_the_subscription(stage: Stage) -> None:
    events = stage.subscribe(_ORDER, id="broken")
    async with asyncio.timeout(10):
        result = await anext(events)
    assert [error.extensions["code"] for error in result.errors] == ["BAD_USER_INPUT"]


async def test_progress_of_an_unknown_read_model_is_bad_user_input(stage: Stage) -> None:
    events = stage.subscribe('subscription { readModelProgress(name: "nope") { name } }')
    async with asyncio.timeout(10):
        result = await anext(events)
    assert [error.extensions["code"] for error in result.errors] == ["BAD_USER_INPUT"]
