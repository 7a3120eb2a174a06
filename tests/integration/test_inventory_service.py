"""The inventory service on its database: commands, saga steps, queries and facts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.exc import IntegrityError

from contracts.events.orders import OrderRejected, OrderShipped, RejectionReason
from tests.integration.service_bench import Answered, OpenDatabase, ServiceBench, running
from tests.unit.given_events import line, placed, stream
from write_services.inventory import tables
from write_services.inventory.service import service

REJECTED = OrderRejected(reason=RejectionReason.TIMED_OUT)


@pytest.fixture
async def inventory(open_database: OpenDatabase) -> AsyncIterator[ServiceBench]:
    async with running(service, open_database) as bench:
        yield bench


async def add(inventory: ServiceBench, sku: str, stock: int) -> Answered:
    price = {"minor": 250, "currency": "EUR"}
    return await inventory.command("add-product", sku=sku, name=sku, price=price, stock=stock)


async def stock_of(inventory: ServiceBench) -> dict[str, int]:
    return {fact.id: fact.data["stock_available"] for fact in await inventory.facts("product")}


async def test_an_added_product_is_answered_queried_and_a_fact(inventory: ServiceBench) -> None:
    tea = (await add(inventory, "tea", 3)).body["product"]
    assert tea == {
        "id": "tea",
        "sku": "tea",
        "name": "tea",
        "description": "",
        "price": {"minor": 250, "currency": "EUR"},
        "stock_available": 3,
    }
    assert await inventory.query("product", sku="tea") == tea
    assert await inventory.query("products", skus="milk,tea") == [tea]
    assert await inventory.query("product", sku="milk") is None
    [fact] = await inventory.facts("product")
    assert (fact.kind, fact.id, fact.version, fact.data) == ("product", "tea", 1, tea)


async def test_restocking_is_the_next_version(inventory: ServiceBench) -> None:
    await add(inventory, "tea", 3)
    answer = await inventory.command("restock-product", sku="tea", quantity=4)
    assert answer.body["product"]["stock_available"] == 7
    assert await inventory.versions() == {"tea": [1, 2]}


async def test_refusals_change_nothing(inventory: ServiceBench) -> None:
    await add(inventory, "tea", 3)
    again = await add(inventory, "tea", 9)
    assert (again.status, again.body["code"]) == (409, "DUPLICATE_SKU")
    unknown = await inventory.command("restock-product", sku="milk", quantity=1)
    assert (unknown.status, unknown.body["code"]) == (409, "PRODUCT_NOT_FOUND")
    assert await inventory.versions() == {"tea": [1]}


async def test_a_restocking_sent_again_with_its_key_is_done_once(inventory: ServiceBench) -> None:
    await add(inventory, "tea", 3)
    first = await inventory.command("restock-product", key="key-1", sku="tea", quantity=4)
    again = await inventory.command("restock-product", key="key-1", sku="tea", quantity=4)
    assert again == first
    assert await stock_of(inventory) == {"tea": 7}


async def test_an_order_gets_all_its_lines_or_none(inventory: ServiceBench) -> None:
    await add(inventory, "tea", 3)
    await add(inventory, "milk", 1)
    fits = stream("order-1", placed(line("tea", 1), line("milk", 1), line("tea", 1)))
    too_much = stream("order-2", placed(line("tea", 1), line("milk", 1)))
    await inventory.hear(*fits, *too_much, *fits)
    assert await stock_of(inventory) == {"tea": 1, "milk": 0}
    versions = {"milk": [1, 2], "order-1": [1], "order-2": [1], "tea": [1, 2]}
    assert await inventory.versions() == versions
    assert (await inventory.published())[-1].body.sku == "milk"
    assert await inventory.violations() == []


async def test_rejected_orders_give_back_and_shipped_ones_do_not(inventory: ServiceBench) -> None:
    await add(inventory, "tea", 5)
    rejected = stream("order-1", placed(line("tea", 2)), REJECTED)
    shipped = stream("order-2", placed(line("tea", 3)), OrderShipped())
    await inventory.hear(*rejected, *shipped)
    await inventory.hear(*shipped, *rejected)
    assert await stock_of(inventory) == {"tea": 2}
    versions = {"order-1": [1, 2], "order-2": [1, 2], "tea": [1, 2, 3, 4]}
    assert await inventory.versions() == versions
    assert await inventory.violations() == []


async def test_a_late_placing_of_a_rejected_order_reserves_nothing(inventory: ServiceBench) -> None:
    await add(inventory, "tea", 5)
    opened, rejected = stream("order-1", placed(line("tea", 2)), REJECTED)
    await inventory.hear(rejected)
    await inventory.hear(opened)
    assert await stock_of(inventory) == {"tea": 5}
    assert await inventory.violations() == []


async def test_the_table_itself_keeps_stock_from_going_below_zero(inventory: ServiceBench) -> None:
    await add(inventory, "tea", 5)
    with pytest.raises(IntegrityError):
        await change(inventory, update(tables.product).values(stock_available=-1))


async def test_a_reservation_without_its_lines_is_told(inventory: ServiceBench) -> None:
    await add(inventory, "tea", 5)
    await inventory.hear(*stream("order-1", placed(line("tea", 2))))
    await change(inventory, delete(tables.stock_reservation_line))
    assert await inventory.violations() == [
        "product tea has a stock of 3 and orders took 0, but 5 came in",
        "the reservation of order order-1 is RESERVED with wrong lines",
    ]


async def test_stock_that_nobody_brought_is_told(inventory: ServiceBench) -> None:
    await add(inventory, "tea", 100)
    await inventory.command("restock-product", sku="tea", quantity=4)
    await inventory.hear(*stream("order-1", placed(line("tea", 2))))
    assert await inventory.violations() == []
    await change(inventory, update(tables.product).values(stock_available=150))
    assert await inventory.violations() == [
        "product tea has a stock of 150 and orders took 2, but 104 came in"
    ]


async def test_a_doubled_release_is_told(inventory: ServiceBench) -> None:
    await add(inventory, "tea", 5)
    reservation = update(tables.stock_reservation)
    opened, rejected = stream("order-1", placed(line("tea", 2)), REJECTED)
    again = stream("order-1", placed(line("tea", 2)), REJECTED)[1]
    await inventory.hear(opened, rejected)
    await change(inventory, reservation.values(state="RESERVED", version=1))
    outbox = tables.tables.events
    await change(inventory, delete(outbox).where(outbox.c.type == "inventory.stock-released"))
    await inventory.hear(again, partition=1)
    assert await inventory.violations() == [
        "product tea has a stock of 7 and orders took 0, but 5 came in"
    ]


async def test_a_reservation_that_took_no_stock_is_told(inventory: ServiceBench) -> None:
    await add(inventory, "tea", 100)
    row = {"order_id": "order-9", "customer_id": "ada", "state": "RESERVED", "version": 1}
    await change(inventory, insert(tables.stock_reservation).values(row))
    taken = {"order_id": "order-9", "sku": "tea", "quantity": 7}
    await change(inventory, insert(tables.stock_reservation_line).values(taken))
    assert await inventory.violations() == [
        "product tea has a stock of 100 and orders took 7, but 100 came in"
    ]


async def test_a_product_whose_oldest_events_were_removed_is_not_judged(
    inventory: ServiceBench,
) -> None:
    await add(inventory, "tea", 3)
    await inventory.command("restock-product", sku="tea", quantity=4)
    outbox = tables.tables.events
    await change(inventory, delete(outbox).where(outbox.c.version == 1))
    assert await inventory.violations() == []


async def change(inventory: ServiceBench, statement: Any) -> None:
    await inventory.database.transact(lambda connection: connection.execute(statement))


async def test_a_refusal_is_decided_anew_when_its_key_comes_again(inventory: ServiceBench) -> None:
    refused = await inventory.command("restock-product", key="key-2", sku="late", quantity=4)
    assert refused.status == 409
    await add(inventory, "late", 1)
    done = await inventory.command("restock-product", key="key-2", sku="late", quantity=4)
    assert done.status == 200
