"""Fields that the write services answer: where the client asks for it, and what only they know."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.freshness.served import ServedFrom
from gateway.identity import global_id
from tests.unit.gateway.schema_stage import (
    Stage,
    customer_document,
    customer_id,
    customer_state,
    newest_first,
    node_ids,
    order_document,
    order_id,
    product_document,
)


def _customer_orders(*numbers: int, has_next: bool = False) -> dict[str, Any]:
    return {
        "orders": [order_document(number) for number in numbers],
        "has_next": has_next,
        "count": 9,
        "total_minor": {"EUR": 12_34},
    }


def _served(stage: Stage) -> list[tuple[str, str | None, tuple[str, ...], ServedFrom]]:
    return [
        (".".join(map(str, one.path)), one.read_model, one.sources, one.served_from)
        for one in stage.freshness.records
    ]


async def test_a_customer_from_its_service_has_its_orders_from_the_read_model(
    stage: Stage,
) -> None:
    await stage.customers(customer_document(newest_first(range(2)), name="Old name"))
    stage.services.on_query("customer", customer_state(name="New name"))
    stage.freshness.to_source = {"customer"}
    data = await stage.ask(
        "query ($id: ID!) { customer(id: $id) "
        "{ name orderCount orderTotal { amount } orders { edges { node { id } } } } }",
        id=customer_id(),
    )
    assert data["customer"]["name"] == "New name"
    assert data["customer"]["orderCount"] == 2
    assert data["customer"]["orderTotal"] == {"amount": "0.02"}
    assert node_ids(data["customer"]["orders"]) == [order_id(1), order_id(0)]
    assert stage.services.last().parameters == {"id": "c1"}
    assert ("customer", None, ("customers",), ServedFrom.SOURCE) in _served(stage)


async def test_a_customer_that_the_read_model_does_not_know_yet_has_no_orders(
    stage: Stage,
) -> None:
    stage.services.on_query("customer", customer_state())
    stage.freshness.to_source = {"customer"}
    data = await stage.ask(
        "query ($id: ID!) { customer(id: $id) "
        "{ orderCount orderTotal { amount currency } orders { edges { node { id } } } } }",
        id=customer_id(),
    )
    assert data["customer"]["orderCount"] == 0
    assert data["customer"]["orderTotal"] == {"amount": "0.00", "currency": "EUR"}
    assert data["customer"]["orders"]["edges"] == []


async def test_orders_that_came_before_their_customer_are_shown_below_it(stage: Stage) -> None:
    """The customer is known from its service; what is invisible of the row is only its own part."""
    orders = newest_first(range(2))
    early = {"id": "c1", "orders": orders, "order_count": 2, "order_total_minor": {"EUR": 5}}
    await stage.customers(early, version=0)
    await stage.orders(*orders)
    stage.services.on_query("customer", customer_state())
    stage.freshness.to_source = {"customer"}
    data = await stage.ask(
        "query ($id: ID!) { customer(id: $id) { orderCount orders { edges { node { id } } } } }",
        id=customer_id(),
    )
    assert data["customer"]["orderCount"] == 2
    assert len(data["customer"]["orders"]["edges"]) == 2


async def test_the_orders_of_a_customer_can_come_from_the_orders_service(stage: Stage) -> None:
    await stage.customers(customer_document([]))
    stage.services.on_query("customer-orders", _customer_orders(3, 2, has_next=True))
    stage.freshness.to_source = {"customer.orders", "customer.orderCount", "customer.orderTotal"}
    data = await stage.ask(
        "query ($id: ID!) { customer(id: $id) { orderCount orderTotal { amount } "
        "orders(first: 2, status: [SHIPPED, PENDING]) "
        "{ edges { node { id } } pageInfo { hasNextPage } } } }",
        id=customer_id(),
    )
    assert node_ids(data["customer"]["orders"]) == [order_id(3), order_id(2)]
    assert data["customer"]["orders"]["pageInfo"]["hasNextPage"]
    assert data["customer"]["orderCount"] == 9
    assert data["customer"]["orderTotal"] == {"amount": "12.34"}
    paths = {path for path, _, sources, by in _served(stage) if by is ServedFrom.SOURCE}
    assert paths == {"customer.orders", "customer.orderCount", "customer.orderTotal"}
    asked = [one.parameters for one in stage.services.asked]
    assert {"customer_id": "c1", "first": "2", "status": "SHIPPED,PENDING"} in asked
    assert {one["first"] for one in asked} == {"2", "0"}


async def test_a_page_from_the_orders_service_goes_on_behind_the_cursor(stage: Stage) -> None:
    orders = newest_first(range(5))
    await stage.customers(customer_document(orders))
    query = (
        "query ($id: ID!, $first: Int, $after: String) { customer(id: $id) { "
        "orders(first: $first, after: $after) { edges { node { id } } pageInfo { endCursor "
        "hasNextPage } } } }"
    )
    first = await stage.ask(query, id=customer_id(), first=2)
    stage.services.on_query("customer-orders", _customer_orders(2))
    stage.freshness.to_source = {"customer.orders"}
    cursor = first["customer"]["orders"]["pageInfo"]["endCursor"]
    await stage.ask(query, id=customer_id(), first=2, after=cursor)
    after = stage.services.last().parameters["after"]
    assert after == f"{orders[1]['placed_at']},{orders[1]['id']}"


async def test_order_product_node_and_an_orders_customer_can_come_from_their_services(
    stage: Stage,
) -> None:
    stage.services.on_query("order", order_document(1))
    stage.services.on_query("customer", customer_state(name="From the service"))
    stage.services.on_query("product", product_document("ANVIL"))
    stage.freshness.to_source = {"order", "order.customer", "product", "node"}
    data = await stage.ask(
        "query ($o: ID!, $p: ID!) { order(id: $o) { status customer { name } } "
        'product(sku: "ANVIL") { stockAvailable } node(id: $p) { ... on Product { sku } } }',
        o=order_id(1),
        p=global_id("Product", "ANVIL"),
    )
    assert data["order"] == {"status": "APPROVED", "customer": {"name": "From the service"}}
    assert data["product"] == {"stockAvailable": 3}
    assert data["node"] == {"sku": "ANVIL"}
    assert {(path, sources) for path, _, sources, _ in _served(stage)} == {
        ("order", ("orders",)),
        ("order.customer", ("customers",)),
        ("product", ("inventory",)),
        ("node", ("inventory",)),
    }


async def test_what_a_service_does_not_know_is_null(stage: Stage) -> None:
    stage.freshness.to_source = {"customer"}
    query = "query ($id: ID!) { customer(id: $id) { name } }"
    assert await stage.ask(query, id=customer_id()) == {"customer": None}


async def test_the_past_of_an_order_comes_from_the_order_itself(stage: Stage) -> None:
    await stage.orders(order_document(1, status="SHIPPED"))
    stage.services.on_query("order", order_document(1, status="PENDING"))
    data = await stage.ask(
        'query ($id: ID!) { order(id: $id, asOf: "2026-11-24T13:00:00+01:00") { status } }',
        id=order_id(1),
    )
    assert data["order"]["status"] == "PENDING"
    as_of = stage.services.last().parameters["as_of"]
    assert as_of.startswith(("2026-11-24T13:00:00", "2026-11-24T12:00:00"))
    assert _served(stage) == [("order", None, ("orders",), ServedFrom.SOURCE)]
    codes = await stage.codes(
        'query ($id: ID!) { order(id: $id, asOf: "2026-11-24T13:00:00") { status } }',
        id=order_id(1),
    )
    assert codes == ["BAD_USER_INPUT"]


async def test_the_history_of_an_order_comes_from_the_order_itself(stage: Stage) -> None:
    event = {
        "id": "e1",
        "type": "orders.order-placed",
        "version": 1,
        "recorded_at": "2026-11-24T12:00:00Z",
        "actor": None,
        "correlation_id": "corr",
        "data": {"note": None, "lines": [1]},
    }
    stage.services.on_query("order-history", [event])
    data = await stage.ask(
        "query ($id: ID!) { orderHistory(id: $id) "
        "{ id type version recordedAt actor correlationId data } }",
        id=order_id(1),
    )
    [shown] = data["orderHistory"]
    assert shown["data"] == {"note": None, "lines": [1]}
    assert shown["recordedAt"].startswith("2026-11-24T12:00:00")
    assert _served(stage) == [("orderHistory", None, ("orders",), ServedFrom.SOURCE)]


async def test_the_history_of_an_unknown_order_is_empty(stage: Stage) -> None:
    query = "query ($id: ID!) { orderHistory(id: $id) { id } }"
    assert await stage.ask(query, id=order_id(404)) == {"orderHistory": []}


@pytest.mark.parametrize("status", [500, 503])
async def test_a_service_that_does_not_answer_is_unavailable(stage: Stage, status: int) -> None:
    stage.services.on_problem("customer", status, "SOURCE_UNAVAILABLE")
    stage.freshness.to_source = {"customer"}
    query = "query ($id: ID!) { customer(id: $id) { name } }"
    assert await stage.codes(query, id=customer_id()) == ["SOURCE_UNAVAILABLE"]


async def test_the_customers_of_a_page_are_asked_for_in_one_question(stage: Stage) -> None:
    await stage.orders(*(order_document(n, f"c{n % 3}") for n in range(9)))
    known = [customer_state(f"c{n}", name=f"Customer {n}") for n in range(2)]
    stage.services.on_query("customers", known)
    stage.freshness.to_source = {"orders.edges.node.customer"}
    data = await stage.ask("{ orders { edges { node { customer { name } } } } }")
    names = [(edge["node"]["customer"] or {}).get("name") for edge in data["orders"]["edges"]]
    assert set(names) == {"Customer 0", "Customer 1", None}
    [asked] = stage.services.asked
    assert set(asked.parameters["ids"].split(",")) == {"c0", "c1", "c2"}
    assert {one.served_from for one in stage.freshness.records} == {ServedFrom.SOURCE}


async def test_what_is_asked_for_twice_is_asked_once(stage: Stage) -> None:
    await stage.customers(customer_document([]))
    stage.services.on_query("customer-orders", _customer_orders())
    stage.freshness.to_source = {"customer.orderCount", "customer.orderTotal"}
    query = "query ($id: ID!) { customer(id: $id) { orderCount orderTotal { amount } } }"
    await stage.ask(query, id=customer_id())
    assert len(stage.services.asked) == 1


async def test_a_key_that_would_part_the_question_is_asked_alone(stage: Stage) -> None:
    stage.services.on_query("products", [product_document("A"), product_document("B")])
    stage.freshness.to_source = {"a", "b", "c"}
    data = await stage.ask(
        '{ a: product(sku: "A") { sku } b: product(sku: "B") { sku } '
        'c: product(sku: "A,B") { sku } }'
    )
    assert data == {"a": {"sku": "A"}, "b": {"sku": "B"}, "c": None}
    assert [one.parameters for one in stage.services.asked] == [{"skus": "A,B"}, {"sku": "A,B"}]


async def test_a_command_makes_its_service_be_asked_anew(stage: Stage) -> None:
    stage.services.on_command("ship-order", {"order": order_document(1)})
    stage.services.on_query("customer", customer_state())
    stage.freshness.to_source = {"a.order.customer", "b.order.customer"}
    query = """mutation ($id: ID!) {
      a: shipOrder(input: {orderId: $id}) { ... on ShipOrderSuccess { order { customer { id } } } }
      b: shipOrder(input: {orderId: $id}) { ... on ShipOrderSuccess { order { customer { id } } } }
    }"""
    await stage.ask(query, id=order_id(1))
    assert [one.name for one in stage.services.asked] == ["ship-order", "customer"] * 2


async def test_a_page_of_a_read_model_that_is_too_stale_comes_from_the_service(
    stage: Stage,
) -> None:
    orders = newest_first(range(5))
    await stage.orders(*orders)
    await stage.customers(customer_document(orders[:2], count=5))
    stage.services.on_query("customer-orders", _customer_orders(4, 3, 2, has_next=True))
    stage.freshness.too_stale = ("orders",)
    query = "query ($id: ID!) { customer(id: $id) { orders(first: 3) { edges { node { id } } } } }"
    data = await stage.ask(query, id=customer_id())
    assert node_ids(data["customer"]["orders"]) == [order_id(4), order_id(3), order_id(2)]
    assert _served(stage) == [("customer.orders", None, ("orders",), ServedFrom.SOURCE)]
