"""The orders service on its database: commands, saga steps, queries and facts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from contracts.events.customers import CreditReserved
from contracts.events.inventory import (
    ProductAdded,
    StockRefusalReason,
    StockRefused,
    StockReserved,
)
from slackwater.events.event import Recorded
from slackwater.service.definition import InvalidQueryError
from tests.integration.service_bench import OpenDatabase, ServiceBench, running
from tests.unit.given_events import euros, published
from write_services.orders import deadline, tables
from write_services.orders.service import service

REFUSED = StockRefused(reason=StockRefusalReason.OUT_OF_STOCK, sku="tea")


@pytest.fixture
async def orders(open_database: OpenDatabase) -> AsyncIterator[ServiceBench]:
    async with running(service, open_database) as bench:
        tea = ProductAdded(name="Tea", description="", price=euros(250), stock_available=1)
        await bench.hear(published(tea, "tea"))
        yield bench


async def place(orders: ServiceBench, quantity: int = 2, **fields: Any) -> Any:
    lines = [{"sku": "tea", "quantity": quantity}]
    wish = {"customer_id": "customer-1", "lines": lines, **fields}
    return (await orders.command("place-order", **wish)).body["order"]


def credit(order: Any) -> Recorded[Any]:
    body = CreditReserved(order_id=order["id"], amount=euros(1), credit_reserved=euros(1))
    return published(body, "customer-1")


def stock(order: Any, answer: StockReserved | StockRefused) -> Recorded[Any]:
    return published(answer, order["id"], key="customer-1")


async def approve(orders: ServiceBench, order: Any) -> Any:
    await orders.hear(credit(order), stock(order, StockReserved()))
    return await orders.query("order", id=order["id"])


async def test_a_placed_order_is_answered_queried_and_a_fact(orders: ServiceBench) -> None:
    order = await place(orders, note="with care")
    assert (order["status"], order["total"]["minor"]) == ("PENDING", 500)
    assert order["lines"][0]["product_name"] == "Tea"
    assert await orders.query("order", id=order["id"]) == order
    assert await orders.query("orders", ids=f"nothing,{order['id']}") == [order]
    [fact] = await orders.facts("order")
    assert (fact.kind, fact.id, fact.version, fact.data) == ("order", order["id"], 1, order)
    assert await orders.violations() == []


async def test_a_product_that_a_restored_source_adds_anew_is_the_one_sold(
    orders: ServiceBench,
) -> None:
    lost = ProductAdded(name="Lost", description="", price=euros(100), stock_available=1)
    anew = ProductAdded(name="Anew", description="", price=euros(900), stock_available=1)
    before, after = published(lost, "coffee"), published(anew, "coffee")
    assert before.event.version == after.event.version == 1
    await orders.hear(before)
    orders.timeline = "after the restore"
    await orders.hear(after)
    await orders.hear(after, before)  # whatever comes twice has been handled
    placed = await orders.command(
        "place-order", customer_id="customer-1", lines=[{"sku": "coffee", "quantity": 1}]
    )
    assert placed.body["order"]["lines"][0]["product_name"] == "Anew"
    assert placed.body["order"]["total"]["minor"] == 900


async def test_an_order_placed_again_with_its_key_is_placed_once(orders: ServiceBench) -> None:
    assert await place(orders, key="key-1") == await place(orders, key="key-1")
    assert len(await orders.published()) == 1


async def test_both_agreements_approve_and_shipping_settles(orders: ServiceBench) -> None:
    order = await place(orders)
    approved = await approve(orders, order)
    assert approved["status"] == "APPROVED"
    assert {approved["processing"]["credit"], approved["processing"]["stock"]} == {"AGREED"}
    shipped = await orders.command("ship-order", order_id=order["id"])
    assert shipped.body["order"]["status"] == "SHIPPED"
    refused = await orders.command("cancel-order", order_id=order["id"])
    assert (refused.status, refused.body["code"]) == (409, "ORDER_NOT_CANCELLABLE")
    assert await orders.versions() == {order["id"]: [1, 2, 3, 4]}
    assert await orders.violations() == []


async def test_a_refusal_rejects_and_a_late_agreement_changes_nothing(orders: ServiceBench) -> None:
    order = await place(orders)
    await orders.hear(stock(order, REFUSED))
    await orders.hear(credit(order))
    rejected = await orders.query("order", id=order["id"])
    assert (rejected["status"], rejected["rejection_reason"]) == ("REJECTED", "OUT_OF_STOCK")
    assert await orders.versions() == {order["id"]: [1, 2]}


async def test_a_silent_saga_times_out(
    orders: ServiceBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "ORDER_DEADLINE_MS", 500)
    order = await place(orders)
    await orders.work(after_ms=499)
    assert (await orders.query("order", id=order["id"]))["status"] == "PENDING"
    await orders.work(after_ms=1)
    await orders.work(after_ms=1)
    timed_out = await orders.query("order", id=order["id"])
    assert timed_out["rejection_reason"] == "TIMED_OUT"
    assert await orders.versions() == {order["id"]: [1, 2]}
    assert await orders.violations() == []


async def test_the_past_can_be_asked_for(orders: ServiceBench) -> None:
    order = await place(orders)
    placed_at = orders.clock.now()
    orders.clock.advance(ms=10)
    await approve(orders, order)
    orders.clock.advance(ms=10)
    await orders.command("cancel-order", order_id=order["id"], reason="late")

    async def status_at(moment: datetime) -> str | None:
        found = await orders.query("order", id=order["id"], as_of=moment.isoformat())
        return found and found["status"]

    assert await status_at(placed_at - timedelta(microseconds=1)) is None
    assert await status_at(placed_at) == "PENDING"
    assert await status_at(placed_at + timedelta(milliseconds=10)) == "APPROVED"
    assert await status_at(datetime(2100, 1, 1, tzinfo=UTC)) == "CANCELLED"


async def test_the_history_tells_who_did_what(orders: ServiceBench) -> None:
    order = await place(orders)
    await orders.hear(stock(order, REFUSED))
    history = await orders.query("order-history", id=order["id"])
    assert [(entry["type"], entry["version"]) for entry in history] == [
        ("orders.order-placed", 1),
        ("orders.order-rejected", 2),
    ]
    assert history[0]["actor"] == "tester"
    assert history[1]["data"] == {"reason": "OUT_OF_STOCK"}
    assert await orders.query("order-history", id="nothing") is None


async def test_pages_of_a_customers_orders_neither_skip_nor_repeat(orders: ServiceBench) -> None:
    placed = []
    for n in range(5):
        placed.append(await place(orders, quantity=n + 1))
        orders.clock.advance(ms=n % 2)  # some at the same instant: the id decides
    newest_first = sorted(placed, key=place_in_time, reverse=True)
    seen: list[Any] = []
    after = {}
    while True:
        page = await orders.query("customer-orders", customer_id="customer-1", first="2", **after)
        seen += page["orders"]
        after = {"after": f"{seen[-1]['placed_at']},{seen[-1]['id']}"}
        if not page["has_next"]:
            break
    assert seen == newest_first


def place_in_time(order: Any) -> tuple[datetime, str]:
    return datetime.fromisoformat(order["placed_at"]), order["id"]


async def test_totals_leave_out_rejected_and_cancelled_orders(orders: ServiceBench) -> None:
    kept, rejected, cancelled = [await place(orders, quantity=n) for n in (1, 2, 4)]
    await orders.hear(stock(rejected, REFUSED))
    await orders.command("cancel-order", order_id=cancelled["id"])
    page = await orders.query("customer-orders", customer_id="customer-1")
    assert (page["count"], page["total_minor"]) == (3, {"EUR": kept["total"]["minor"]})
    only_numbers = await orders.query("customer-orders", customer_id="customer-1", first="0")
    assert (only_numbers["orders"], only_numbers["count"]) == ([], 3)
    nobody = await orders.query("customer-orders", customer_id="nobody")
    assert nobody == {"orders": [], "has_next": False, "count": 0, "total_minor": {}}


async def test_a_page_can_be_kept_to_some_statuses(orders: ServiceBench) -> None:
    pending, cancelled = await place(orders), await place(orders)
    await orders.command("cancel-order", order_id=cancelled["id"])

    async def ids(status: str) -> set[str]:
        page = await orders.query("customer-orders", customer_id="customer-1", status=status)
        return {order["id"] for order in page["orders"]}

    assert await ids("CANCELLED") == {cancelled["id"]}
    assert await ids("CANCELLED,PENDING") == {cancelled["id"], pending["id"]}
    assert await ids("") == set()


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("order", {}),
        ("order", {"id": "x", "as_of": "yesterday"}),
        ("order", {"id": "x", "as_of": "2026-01-01T00:00:00"}),
        ("order", {"id": "x", "as_of": "0001-01-01T00:00:00+10:00"}),
        ("customer-orders", {"customer_id": "x", "status": "LOST"}),
        ("customer-orders", {"customer_id": "x", "first": "101"}),
        ("customer-orders", {"customer_id": "x", "first": "-1"}),
        ("customer-orders", {"customer_id": "x", "after": "x"}),
    ],
)
async def test_a_query_that_cannot_be_answered_is_refused(
    orders: ServiceBench, query: str, parameters: dict[str, str]
) -> None:
    with pytest.raises(InvalidQueryError):
        await orders.query(query, **parameters)


async def test_an_index_that_does_not_follow_is_told(orders: ServiceBench) -> None:
    order = await place(orders)
    await orders.database.transact(
        lambda connection: connection.execute(update(tables.order_index).values(status="APPROVED"))
    )
    assert await orders.violations() == [
        f"the index of order {order['id']} does not follow its events"
    ]
