"""The demo against the real services: a stopped seeding goes on, and every read model agrees."""

from __future__ import annotations

import asyncio
import random
from functools import cache
from pathlib import Path

import msgspec

from gateway.demo.plan import Fate, StorePlan, store_plan
from gateway.demo.seed import seed
from gateway.demo.shopping import Shoppers
from gateway.demo.traffic import traffic
from slackwater.installation import Installation
from slackwater.settings import Settings
from tests.end_to_end.harness import Running, running, until

_CUSTOMERS = 5
_PRODUCTS = 20
_ORDERS = 60


@cache
def tiny_plan() -> StorePlan:
    plan = store_plan()
    products = plan.products[:_PRODUCTS]
    shoppers = Shoppers([product.article for product in products], _CUSTOMERS, random.Random(1))
    orders = [
        msgspec.structs.replace(order, basket=shoppers.draw()) for order in plan.orders[:_ORDERS]
    ]
    return msgspec.structs.replace(
        plan, customers=plan.customers[:_CUSTOMERS], products=products, orders=orders
    )


def service_urls(installation: Running) -> dict[str, str]:
    return Installation(Settings(port=installation.port)).service_urls


async def seed_all(urls: dict[str, str]) -> list[str]:
    return [progress.label async for progress in seed(urls, plan=tiny_plan)]


async def seed_for(urls: dict[str, str], seconds: float) -> None:
    async def drain() -> None:
        await seed_all(urls)

    seeding = asyncio.create_task(drain())
    await asyncio.wait([seeding], timeout=seconds)
    seeding.cancel()
    await asyncio.wait([seeding])


def statuses(installation: Running) -> dict[str, int]:
    counts = {}
    for status in ("PENDING", "APPROVED", "REJECTED", "CANCELLED", "SHIPPED"):
        answer = installation.store.ask(
            "query ($status: [OrderStatus!]) "
            "{ orders(first: 100, filter: {status: $status}) { edges { node { id } } } }",
            {"status": [status]},
        )
        counts[status] = len(answer.data["orders"]["edges"])
    return counts


async def test_a_stopped_seeding_goes_on_doubles_nothing_and_ends_verified(tmp_path: Path) -> None:
    with running(tmp_path / "data") as installation:
        urls = service_urls(installation)
        await seed_for(urls, 1.0)
        assert (await seed_all(urls))[-1] == "complete"
        assert await seed_all(urls) == ["complete"]

        shown = await asyncio.to_thread(
            until, lambda: statuses(installation), lambda counts: sum(counts.values()) == _ORDERS
        )
        fates = [order.fate for order in tiny_plan().orders]
        assert shown["PENDING"] == 0
        assert shown["SHIPPED"] + shown["REJECTED"] >= fates.count(Fate.SHIP)
        assert 0 < shown["CANCELLED"] <= fates.count(Fate.CANCEL)
        assert installation.verify().returncode == 0


async def test_traffic_places_and_ships_orders(tmp_path: Path) -> None:
    with running(tmp_path / "data") as installation:
        running_traffic = traffic(service_urls(installation), 20, random_seed=1)
        async with asyncio.timeout(60):
            async for progress in running_traffic:
                if progress.done > 60 and "orders placed" in progress.label:
                    break
        await running_traffic.aclose()
        assert "refused" not in progress.label
        shown = await asyncio.to_thread(
            until, lambda: statuses(installation), lambda counts: counts["SHIPPED"] > 0
        )
        assert shown["SHIPPED"] > shown["CANCELLED"]
