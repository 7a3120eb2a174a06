"""Several processes of a service at once: what one writer keeps by nature is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from contracts.events.inventory import ProductAdded
from contracts.events.orders import OrderCancelled
from slackwater.events.event import Recorded
from slackwater.service.definition import ServiceDefinition
from tests.integration.service_bench import OpenDatabase, ServiceBench, running
from tests.unit.given_events import euros, line, placed, published, stream
from write_services.customers.service import service as customers_service
from write_services.inventory.service import service as inventory_service
from write_services.orders import deadline
from write_services.orders.service import service as orders_service

Two = tuple[ServiceBench, ServiceBench]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def two(stack: AsyncExitStack, service: ServiceDefinition, open_: OpenDatabase) -> Two:
    """Run a service on two handles, as two processes would."""
    first = await stack.enter_async_context(running(service, open_))
    return first, await stack.enter_async_context(running(service, open_))


def euro(minor: int) -> dict[str, Any]:
    return {"minor": minor, "currency": "EUR"}


def orders_of(customer_id: str, *skus: str, count: int = 16) -> list[list[Recorded[Any]]]:
    """Return the events of orders that are placed: 100 a sku."""
    lines = [line(sku, 1, euros(100)) for sku in skus]
    return [
        stream(f"order-{n}", placed(*lines, customer_id=customer_id), key=customer_id)
        for n in range(count)
    ]


async def heard_at_once(benches: Two, histories: list[list[Recorded[Any]]]) -> None:
    """Deliver each history by a consumer of its own, with partitions of its own."""
    await asyncio.gather(
        *(benches[n % 2].hear(*history, partition=n) for n, history in enumerate(histories))
    )


async def test_16_orders_at_once_never_exceed_one_credit_limit(
    stack: AsyncExitStack, open_database: OpenDatabase
) -> None:
    benches = await two(stack, customers_service, open_database)
    created = await benches[0].command(
        "create-customer", name="Ada", email="ada@example.com", credit_limit=euro(500)
    )
    ada = created.body["customer"]["id"]
    await heard_at_once(benches, orders_of(ada, "tea"))
    [fact] = await benches[0].facts("customer")
    assert fact.data["credit_reserved"] == euro(500)
    types = [recorded.event.type for recorded in await benches[1].published()]
    assert types.count("customers.credit-reserved") == 5
    assert types.count("customers.credit-refused") == 11
    assert (await benches[0].versions())[ada] == [1, 2, 3, 4, 5, 6]
    assert await benches[0].violations() == []


async def test_16_orders_at_once_never_take_more_than_the_stock(
    stack: AsyncExitStack, open_database: OpenDatabase
) -> None:
    benches = await two(stack, inventory_service, open_database)
    for sku, stock in (("tea", 5), ("milk", 100)):
        await benches[0].command("add-product", sku=sku, name=sku, price=euro(100), stock=stock)
    histories = orders_of("ada", "tea", "milk", count=8) + orders_of("eve", "milk", "tea")[8:]
    await heard_at_once(benches, histories)
    facts = {fact.id: fact.data["stock_available"] for fact in await benches[1].facts("product")}
    assert facts == {"tea": 0, "milk": 95}
    versions = await benches[0].versions()
    assert (versions["tea"], versions["milk"]) == ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    assert await benches[0].violations() == []


async def test_one_order_heard_by_two_consumers_at_once_reserves_once(
    stack: AsyncExitStack, open_database: OpenDatabase
) -> None:
    benches = await two(stack, inventory_service, open_database)
    await benches[0].command("add-product", sku="tea", name="tea", price=euro(100), stock=50)
    [placing] = orders_of("ada", "tea", count=1)
    for n in range(5):
        await heard_at_once(benches, [placing] * 4)
        [fact] = await benches[0].facts("product")
        assert fact.data["stock_available"] == 49, n


async def test_closings_of_one_order_heard_at_once_give_back_once(
    stack: AsyncExitStack, open_database: OpenDatabase
) -> None:
    benches = await two(stack, customers_service, open_database)
    created = await benches[0].command(
        "create-customer", name="Ada", email="ada@example.com", credit_limit=euro(500)
    )
    ada = created.body["customer"]["id"]
    opening = placed(line("tea", 1, euros(100)), customer_id=ada)
    history = stream("order-1", opening, OrderCancelled(reason=None), key=ada)
    await benches[0].hear(history[0])
    again = stream("order-1", opening, OrderCancelled(reason=None), key=ada)
    await heard_at_once(benches, [[history[1]], [again[1]], [history[1]], [again[1]]])
    assert await benches[0].violations() == []
    assert (await benches[0].versions())[ada] == [1, 2, 3]


async def test_a_key_sent_twice_at_once_is_done_once(
    stack: AsyncExitStack, open_database: OpenDatabase
) -> None:
    benches = await two(stack, customers_service, open_database)
    fields = {"name": "Ada", "email": "ada@example.com", "credit_limit": euro(1)}
    for key in ("a", "b", "c"):
        answers = await asyncio.gather(
            *(each.command("create-customer", key=key, **fields) for each in [*benches] * 3)
        )
        assert all(answer == answers[0] for answer in answers)
    assert len(await benches[0].facts("customer")) == 3


async def test_decisions_on_one_order_at_once_are_one_after_another(
    stack: AsyncExitStack, open_database: OpenDatabase
) -> None:
    benches = await two(stack, orders_service, open_database)
    tea = ProductAdded(name="Tea", description="", price=euros(250), stock_available=1)
    await benches[0].hear(published(tea, "tea"))
    wish = {"customer_id": "ada", "lines": [{"sku": "tea", "quantity": 1}]}
    order = (await benches[0].command("place-order", **wish)).body["order"]
    answers = await asyncio.gather(
        *(each.command("cancel-order", order_id=order["id"]) for each in [*benches] * 3)
    )
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409, 409]
    assert await benches[0].versions() == {order["id"]: [1, 2]}
    assert await benches[0].violations() == []


async def test_deadlines_looked_after_by_two_processes_reject_once(
    stack: AsyncExitStack, open_database: OpenDatabase
) -> None:
    benches = await two(stack, orders_service, open_database)
    tea = ProductAdded(name="Tea", description="", price=euros(250), stock_available=1)
    await benches[0].hear(published(tea, "tea"))
    wish = {"customer_id": "ada", "lines": [{"sku": "tea", "quantity": 1}]}
    for _ in range(10):
        await benches[0].command("place-order", **wish)
    long_after_ms = deadline.ORDER_DEADLINE_MS + 1
    await asyncio.gather(*(each.work(after_ms=long_after_ms) for each in benches))
    assert set(map(tuple, (await benches[0].versions()).values())) == {(1, 2)}
    assert await benches[0].violations() == []


async def test_the_newest_price_wins_however_its_events_arrive(
    stack: AsyncExitStack, open_database: OpenDatabase
) -> None:
    benches = await two(stack, orders_service, open_database)
    prices = [
        ProductAdded(name="Tea", description="", price=euros(100 * n), stock_available=1)
        for n in range(1, 9)
    ]
    history = stream("tea", *prices)
    await heard_at_once(benches, [[recorded] for recorded in reversed(history)])
    wish = {"customer_id": "ada", "lines": [{"sku": "tea", "quantity": 1}]}
    order = (await benches[0].command("place-order", **wish)).body["order"]
    assert order["total"] == euro(800)
