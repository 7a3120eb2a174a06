"""The demo data and the demo traffic over HTTP: nothing doubled, nothing lost, rate kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import cache
from itertools import pairwise

import msgspec
import pytest

from gateway.demo.plan import Fate, StorePlan, store_plan
from gateway.demo.seed import seed
from gateway.demo.shopping import Shoppers
from gateway.demo.traffic import traffic
from slackwater.gateway import DemoProgress
from tests.integration.write_side_double import WriteSideDouble, write_side_double

_FAST = 100_000.0
_CUSTOMERS = 20
_PRODUCTS = 40
_ORDERS = 230
_HANDFUL = 12 + 60


@pytest.fixture
async def services() -> AsyncIterator[WriteSideDouble]:
    async with write_side_double() as double:
        yield double


@cache
def small_plan() -> StorePlan:
    """Return a part of the whole plan, with orders that stay inside it."""
    plan = store_plan()
    products = plan.products[: _PRODUCTS - 1]
    shoppers = Shoppers([product.article for product in products], _CUSTOMERS, random.Random(1))
    orders = [
        msgspec.structs.replace(order, basket=shoppers.draw()) for order in plan.orders[:_ORDERS]
    ]
    customers = plan.customers[:_CUSTOMERS]
    return msgspec.structs.replace(plan, customers=customers, products=products, orders=orders)


async def seed_all(services: WriteSideDouble) -> list[DemoProgress]:
    return [progress async for progress in seed(services.urls, plan=small_plan, rate_max=_FAST)]


async def seed_until(services: WriteSideDouble, effects: int) -> None:
    """Seed until there are so many effects, then stop as Ctrl-C would."""

    async def drain() -> None:
        await seed_all(services)

    seeding = asyncio.create_task(drain())
    async with asyncio.timeout(60):
        while sum(services.effects.values()) < effects:
            await asyncio.sleep(0.001)
    seeding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await seeding


def assert_seeded_once(services: WriteSideDouble) -> None:
    fates = [order.fate for order in small_plan().orders]
    assert set(services.effects.values()) == {1}
    assert services.effects_of("demo-customer-") == _CUSTOMERS
    assert services.effects_of("demo-product-") == _PRODUCTS
    assert services.effects_of("demo-order-") == _ORDERS
    assert services.statuses["SHIPPED"] == fates.count(Fate.SHIP)
    assert services.statuses["CANCELLED"] == fates.count(Fate.CANCEL)
    assert services.statuses.total() == _ORDERS
    assert not services.refusals


async def test_seeding_creates_everything_once_and_tells_each_stage(
    services: WriteSideDouble,
) -> None:
    told = await seed_all(services)
    assert_seeded_once(services)
    complete = [progress.label for progress in told if progress.done == progress.total]
    assert list(dict.fromkeys(label for label in complete if "waiting for" not in label)) == [
        "customers",
        "products",
        "orders",
        "shipped or cancelled",
        "complete",
    ]


async def test_a_finished_seeding_is_recognised_without_sending_a_command(
    services: WriteSideDouble,
) -> None:
    await seed_all(services)
    commands = services.requests
    assert [progress.label for progress in await seed_all(services)] == ["complete"]
    assert services.requests == commands


@pytest.mark.parametrize("effects", [10, 40, 150, 280, 350])
async def test_a_seeding_stopped_anywhere_goes_on_and_doubles_nothing(
    services: WriteSideDouble, effects: int
) -> None:
    await seed_until(services, effects)
    assert sum(services.effects.values()) < effects + 20
    await seed_all(services)
    assert_seeded_once(services)


async def test_lost_answers_double_nothing(services: WriteSideDouble) -> None:
    services.loses_every = 25
    await seed_all(services)
    assert_seeded_once(services)


async def test_seeding_waits_for_services_that_are_down_and_says_so(
    services: WriteSideDouble,
) -> None:
    services.is_down = True
    labels = []
    async for progress in seed(services.urls, plan=small_plan, rate_max=_FAST):
        if services.is_down:
            labels.append(progress.label)
            services.is_down = False
    assert labels == ["customers (waiting for customers (503 SOURCE_UNAVAILABLE))"]
    assert_seeded_once(services)


async def test_seeding_keeps_to_its_pace(services: WriteSideDouble) -> None:
    loop = asyncio.get_running_loop()
    started_s = loop.time()

    async def drain() -> None:
        async for _ in seed(services.urls, plan=small_plan, rate_max=50):
            pass

    seeding = asyncio.create_task(drain())
    await asyncio.wait([seeding], timeout=2)
    seeding.cancel()
    await asyncio.wait([seeding])
    assert services.requests <= 50 * (loop.time() - started_s) + 2
    assert services.requests > 40


async def test_traffic_without_demo_data_makes_a_handful_and_keeps_its_rate(
    services: WriteSideDouble,
) -> None:
    told = []
    async with aclosing(traffic(services.urls, 40, random_seed=1)) as running:
        async for progress in running:
            told.append(progress)
            if progress.label.startswith("orders placed") and progress.done >= 120:
                break
    assert told[0].label == "random seed 1"
    placing = [progress for progress in told if progress.label.startswith("orders placed")]
    gains = [after.done - before.done for before, after in pairwise(placing)]
    assert sum(gains) / len(gains) == pytest.approx(40, abs=8)
    assert services.effects_of("demo-") == _HANDFUL
    assert services.statuses["SHIPPED"] > services.statuses["CANCELLED"]


async def test_traffic_stops_cleanly_and_sends_nothing_more(services: WriteSideDouble) -> None:
    tasks = asyncio.all_tasks()
    async with aclosing(traffic(services.urls, 100, random_seed=2)) as running:
        async for progress in running:
            if progress.label.startswith("orders placed") and progress.done > 50:
                break
    requests = services.requests
    async with asyncio.timeout(10):
        while asyncio.all_tasks() - tasks:
            await asyncio.sleep(0.01)
    assert services.requests == requests


async def test_traffic_uses_the_demo_data_that_is_there(services: WriteSideDouble) -> None:
    await seed_all(services)
    async with aclosing(traffic(services.urls, 50, plan=small_plan, random_seed=3)) as running:
        async for progress in running:
            if progress.label.startswith("orders placed") and progress.done > 20:
                break
    assert services.effects_of("demo-customer-") == _CUSTOMERS
    assert services.effects_of("demo-product-") == _PRODUCTS
    assert not services.refusals
