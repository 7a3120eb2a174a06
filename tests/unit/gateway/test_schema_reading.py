"""Queries over the read models: look-ups, pages, joins and search."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from contracts.timestamps import to_text
from gateway.freshness.served import ServedFrom
from gateway.identity import global_id
from slackwater.read_models.search import SearchRequest, SearchResult
from tests.unit.gateway.schema_stage import (
    NOON,
    Stage,
    customer_document,
    customer_id,
    newest_first,
    node_ids,
    order_document,
    order_id,
    product_document,
)

_PAGE = """
query ($first: Int, $after: String, $filter: OrderFilter) {
  orders(first: $first, after: $after, filter: $filter) {
    edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""
_OF_CUSTOMER = """
query ($id: ID!, $first: Int, $after: String, $status: [OrderStatus!]) {
  customer(id: $id) { orders(first: $first, after: $after, status: $status) {
    edges { node { id } } pageInfo { hasNextPage endCursor }
  } }
}
"""


async def test_a_customer_shows_its_credit_in_exact_decimals(stage: Stage) -> None:
    await stage.customers(customer_document(newest_first(range(3))))
    data = await stage.ask(
        "query ($id: ID!) { customer(id: $id) { id name email orderCount "
        "creditLimit { amount currency } creditReserved { amount } creditAvailable { amount } "
        "orderTotal { amount currency } } }",
        id=customer_id(),
    )
    assert data["customer"] == {
        "id": customer_id(),
        "name": "Acme",
        "email": "c1@example.com",
        "orderCount": 3,
        "creditLimit": {"amount": "100.00", "currency": "EUR"},
        "creditReserved": {"amount": "30.05"},
        "creditAvailable": {"amount": "69.95"},
        "orderTotal": {"amount": "0.06", "currency": "EUR"},
    }


async def test_a_pending_order_shows_the_stage_of_its_saga(stage: Stage) -> None:
    await stage.orders(order_document(5, status="PENDING"))
    query = "query ($id: ID!) { order(id: $id) { processing { credit stock } } }"
    data = await stage.ask(query, id=order_id(5))
    assert data["order"]["processing"] == {"credit": "AGREED", "stock": "WAITING"}


@pytest.mark.parametrize("status", ["APPROVED", "REJECTED", "CANCELLED", "SHIPPED"])
async def test_an_order_that_is_decided_is_in_no_stage(stage: Stage, status: str) -> None:
    await stage.orders(order_document(5, status=status))
    query = "query ($id: ID!) { order(id: $id) { processing { credit stock } } }"
    assert await stage.ask(query, id=order_id(5)) == {"order": {"processing": None}}


async def test_an_order_shows_its_lines_and_why_it_was_rejected(stage: Stage) -> None:
    await stage.orders(order_document(5, status="REJECTED"))
    data = await stage.ask(
        "query ($id: ID!) { order(id: $id) { status rejectionReason note placedAt "
        "lines { sku productName quantity unitPrice { amount } total { amount } } } }",
        id=order_id(5),
    )
    assert data["order"]["rejectionReason"] == "OUT_OF_STOCK"
    assert data["order"]["lines"] == [
        {
            "sku": "ANVIL",
            "productName": "Anvil",
            "quantity": 2,
            "unitPrice": {"amount": "0.05"},
            "total": {"amount": "0.10"},
        }
    ]


@pytest.mark.parametrize("kind", ["Customer", "Order", "Product"])
async def test_node_finds_what_has_a_global_id(stage: Stage, kind: str) -> None:
    await stage.customers(customer_document([]))
    await stage.orders(order_document(1))
    await stage.products(product_document("ANVIL"))
    key = {"Customer": "c1", "Order": "o001", "Product": "ANVIL"}[kind]
    data = await stage.ask(
        "query ($id: ID!) { node(id: $id) { id __typename } }", id=global_id(kind, key)
    )
    assert data["node"] == {"id": global_id(kind, key), "__typename": kind}


async def test_what_is_not_there_is_null(stage: Stage) -> None:
    data = await stage.ask(
        "query ($c: ID!, $o: ID!) { customer(id: $c) { id } order(id: $o) { id } "
        'product(sku: "none") { id } node(id: $o) { id } }',
        c=customer_id("nobody"),
        o=order_id(404),
    )
    assert data == {"customer": None, "order": None, "product": None, "node": None}
    assert set(stage.freshness.absences) == {"customer", "order", "product", "node"}


async def test_a_customer_is_invisible_until_its_own_first_event(stage: Stage) -> None:
    await stage.customers({"id": "c1", "orders": [order_document(1)], "order_count": 1}, version=0)
    await stage.orders(order_document(1))
    data = await stage.ask(
        "query ($c: ID!, $o: ID!) "
        "{ customer(id: $c) { name } order(id: $o) { customer { name } } }",
        c=customer_id(),
        o=order_id(1),
    )
    assert data == {"customer": None, "order": {"customer": None}}
    assert set(stage.freshness.absences) == {"customer", "order.customer"}


@pytest.mark.parametrize(
    "broken", ["", "c1", "%%%", "Q3VzdG9tZXI=", global_id("Order", "o001"), global_id("Nope", "1")]
)
async def test_an_id_of_no_customer_is_bad_user_input(stage: Stage, broken: str) -> None:
    query = "query ($id: ID!) { customer(id: $id) { id } }"
    assert await stage.codes(query, id=broken) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("broken", ["", "c1", "%%%", global_id("Nope", "1")])
async def test_an_id_of_nothing_is_bad_user_input(stage: Stage, broken: str) -> None:
    query = "query ($id: ID!) { node(id: $id) { id } }"
    assert await stage.codes(query, id=broken) == ["BAD_USER_INPUT"]


async def test_pages_of_orders_neither_skip_nor_repeat(stage: Stage) -> None:
    await stage.orders(*(order_document(number) for number in range(7)))
    seen, after, pages = [], None, 0
    while True:
        data = await stage.ask(_PAGE, first=3, after=after)
        pages += 1
        seen += node_ids(data["orders"])
        info = data["orders"]["pageInfo"]
        assert info["hasPreviousPage"] is (pages > 1)
        after = info["endCursor"]
        if not info["hasNextPage"]:
            break
    assert seen == [order_id(number) for number in range(6, -1, -1)]
    assert pages == 3


@pytest.mark.parametrize(("first", "more"), [(0, True), (6, True), (7, False), (100, False)])
async def test_has_next_page_is_right_at_the_edges(stage: Stage, first: int, more: bool) -> None:
    await stage.orders(*(order_document(number) for number in range(7)))
    page = (await stage.ask(_PAGE, first=first))["orders"]
    assert page["pageInfo"]["hasNextPage"] is more
    assert len(page["edges"]) == min(first, 7)


@pytest.mark.parametrize("arguments", ["first: -1", "first: 101", 'after: "%%%"', 'after: "e30"'])
async def test_page_arguments_out_of_bounds_are_bad_user_input(
    stage: Stage, arguments: str
) -> None:
    for call in ("orders(", "customers(", "products(", 'search(text: "x", '):
        codes = await stage.codes(f"{{ {call}{arguments}) {{ pageInfo {{ endCursor }} }} }}")
        assert codes == ["BAD_USER_INPUT"], call


async def test_a_null_page_size_means_the_default(stage: Stage) -> None:
    await stage.orders(*(order_document(number) for number in range(30)))
    page = (await stage.ask(_PAGE, first=None))["orders"]
    assert len(page["edges"]) == 20


async def test_a_cursor_of_another_list_is_bad_user_input(stage: Stage) -> None:
    await stage.orders(order_document(1))
    cursor = (await stage.ask(_PAGE, first=1))["orders"]["pageInfo"]["endCursor"]
    query = "query ($after: String) { customers(after: $after) { edges { cursor } } }"
    assert await stage.codes(query, after=cursor) == ["BAD_USER_INPUT"]
    await stage.customers(customer_document([order_document(1)]))
    of_customer = await stage.codes(_OF_CUSTOMER, id=customer_id(), after=cursor)
    assert of_customer == ["BAD_USER_INPUT"]


async def test_a_cursor_of_a_list_as_wide_is_another_lists_too(stage: Stage) -> None:
    await stage.products(product_document("A"), product_document("B"))
    products = "query ($after: String) { products(first: 1, after: $after) { %s } }"
    ends = "pageInfo { endCursor }"
    cursor = (await stage.ask(products % ends))["products"]["pageInfo"]["endCursor"]
    query = "query ($after: String) { customers(after: $after) { edges { cursor } } }"
    assert await stage.codes(query, after=cursor) == ["BAD_USER_INPUT"]
    assert await stage.codes(products % ends, after=cursor) == []


async def test_orders_are_filtered_by_customer_status_and_time(stage: Stage) -> None:
    await stage.orders(
        order_document(1, "c1", "PENDING"),
        order_document(2, "c1", "SHIPPED"),
        order_document(3, "c2", "SHIPPED"),
        order_document(4, "c1", "SHIPPED"),
    )

    async def found(**wanted: Any) -> list[str]:
        return node_ids((await stage.ask(_PAGE, filter=wanted))["orders"])

    assert await found(customerId=customer_id("c2")) == [order_id(3)]
    assert await found(status=["SHIPPED"], customerId=customer_id()) == [order_id(4), order_id(2)]
    since, until = to_text(NOON + timedelta(minutes=2)), to_text(NOON + timedelta(minutes=4))
    assert await found(placedAfter=since, placedBefore=until) == [order_id(3), order_id(2)]
    assert len(await found(status=["PENDING", "SHIPPED"])) == 4
    assert len(await found()) == 4


async def test_a_filter_by_time_takes_any_offset_but_not_none(stage: Stage) -> None:
    await stage.orders(order_document(0), order_document(90))
    page = await stage.ask(_PAGE, filter={"placedAfter": "2026-11-24T14:00:00+01:00"})
    assert node_ids(page["orders"]) == [order_id(90)]
    codes = await stage.codes(_PAGE, filter={"placedAfter": "2026-11-24T14:00:00"})
    assert codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("beyond", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
async def test_a_time_beyond_the_calendar_is_bad_user_input(stage: Stage, beyond: str) -> None:
    for argument in ("placedAfter", "placedBefore"):
        assert await stage.codes(_PAGE, filter={argument: beyond}) == ["BAD_USER_INPUT"]
    query = "query ($id: ID!, $at: DateTime) { order(id: $id, asOf: $at) { status } }"
    assert await stage.codes(query, id=order_id(1), at=beyond) == ["BAD_USER_INPUT"]


async def test_customers_are_filtered_by_email_and_by_the_beginning_of_a_name(
    stage: Stage,
) -> None:
    await stage.customers(
        customer_document([], customer_id="c1", name="Acme"),
        customer_document([], customer_id="c2", name="Acorn"),
        customer_document([], customer_id="c3", name="Zeta"),
    )
    query = "query ($f: CustomerFilter) { customers(filter: $f) { edges { node { name } } } }"

    async def names(**wanted: str) -> set[str]:
        edges = (await stage.ask(query, f=wanted))["customers"]["edges"]
        return {edge["node"]["name"] for edge in edges}

    assert await names(nameStartsWith="Ac") == {"Acme", "Acorn"}
    assert await names(email="c2@example.com") == {"Acorn"}
    assert await names(email="c2@example.com", nameStartsWith="Z") == set()
    assert await names() == {"Acme", "Acorn", "Zeta"}


async def test_products_come_in_the_order_of_their_skus(stage: Stage) -> None:
    await stage.products(*(product_document(sku) for sku in ("B", "A", "C")))
    query = """query ($after: String) { products(first: 2, after: $after) {
      edges { node { sku } } pageInfo { endCursor hasNextPage } } }"""
    first = (await stage.ask(query))["products"]
    assert [edge["node"]["sku"] for edge in first["edges"]] == ["A", "B"]
    second = (await stage.ask(query, after=first["pageInfo"]["endCursor"]))["products"]
    assert [edge["node"]["sku"] for edge in second["edges"]] == ["C"]
    assert not second["pageInfo"]["hasNextPage"]


@pytest.mark.parametrize("held", [4, 8])
@pytest.mark.parametrize("seen", [0, 3, 4, 5, 8])
async def test_a_page_of_a_customers_orders_is_the_same_wherever_it_comes_from(
    stage: Stage, seen: int, held: int
) -> None:
    orders = newest_first(range(8))
    await stage.orders(*orders)
    await stage.customers(customer_document(orders[:held], count=8))
    seen_page = await stage.ask(_OF_CUSTOMER, id=customer_id(), first=seen)
    before = seen_page["customer"]["orders"]["pageInfo"]["endCursor"]
    for first in (0, 1, 2, 4, 5, 6, 10):
        stage.freshness.records.clear()
        data = await stage.ask(_OF_CUSTOMER, id=customer_id(), first=first, after=before)
        page = data["customer"]["orders"]
        expected = orders[seen : seen + first]
        assert node_ids(page) == [global_id("Order", one["id"]) for one in expected]
        assert page["pageInfo"]["hasNextPage"] is (seen + first < 8)
        inside = held == 8 or seen + max(first, 1) <= held
        assert [one.read_model for one in stage.freshness.records] == ["orders"] * (not inside)


@pytest.mark.parametrize("held", [3, 6])
async def test_a_status_is_filtered_in_the_document_only_if_it_holds_all(
    stage: Stage, held: int
) -> None:
    orders = [
        order_document(number, status="SHIPPED" if number % 2 else "PENDING")
        for number in range(5, -1, -1)
    ]
    await stage.orders(*orders)
    await stage.customers(customer_document(orders[:held], count=6))
    shown = await stage.ask(_OF_CUSTOMER, id=customer_id(), first=2, status=["SHIPPED"])
    assert node_ids(shown["customer"]["orders"]) == [order_id(5), order_id(3)]
    assert shown["customer"]["orders"]["pageInfo"]["hasNextPage"]
    served = [(one.read_model, one.served_from) for one in stage.freshness.records]
    assert served == ([] if held == 6 else [("orders", ServedFrom.READ_MODEL)])


async def test_an_empty_list_of_statuses_keeps_no_order_wherever_it_comes_from(
    stage: Stage,
) -> None:
    orders = newest_first(range(2))
    await stage.orders(*orders)
    await stage.customers(customer_document(orders))
    shown = await stage.ask(_OF_CUSTOMER, id=customer_id(), status=[])
    assert shown["customer"]["orders"]["edges"] == []
    assert (await stage.ask(_PAGE, filter={"status": []}))["orders"]["edges"] == []


async def test_the_customers_of_a_page_of_orders_are_read_in_one_batch(stage: Stage) -> None:
    await stage.customers(*(customer_document([], customer_id=f"c{n}") for n in range(5)))
    await stage.orders(*(order_document(n, f"c{n}") for n in range(5)))
    data = await stage.ask("{ orders { edges { node { customer { email } } } } }")
    assert len({edge["node"]["customer"]["email"] for edge in data["orders"]["edges"]}) == 5
    assert stage.freshness.read.count("customer_orders") == 1


async def test_search_joins_its_hits_with_their_documents(stage: Stage) -> None:
    await stage.index("ORDER", "o001", "anvil order")
    await stage.index("PRODUCT", "ANVIL", "anvil")
    await stage.index("CUSTOMER", "c1", "anvil works")
    await stage.orders(order_document(1))
    await stage.products(product_document("ANVIL"))
    await stage.customers(customer_document([], name="Anvil Works"))
    query = """query ($kinds: [SearchKind!]) { search(text: "anv", kinds: $kinds) {
      totalCount edges { score highlights { field snippets } node {
        __typename ... on Order { id } ... on Product { sku } ... on Customer { name } } } } }"""
    found = (await stage.ask(query))["search"]
    assert found["totalCount"] == 3
    assert {edge["node"]["__typename"] for edge in found["edges"]} == {
        "Order",
        "Product",
        "Customer",
    }
    assert all("<em>" in edge["highlights"][0]["snippets"][0] for edge in found["edges"])
    only = (await stage.ask(query, kinds=["CUSTOMER"]))["search"]
    assert [edge["node"] for edge in only["edges"]] == [
        {"__typename": "Customer", "name": "Anvil Works"}
    ]
    assert (await stage.ask(query, kinds=[]))["search"]["totalCount"] == 3


@pytest.mark.parametrize("is_required", [False, True])
async def test_a_page_of_an_earlier_state_has_no_bound_and_is_read_anew_where_one_is_required(
    stage: Stage, is_required: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = stage.search.search

    async def keep_pages(request: SearchRequest) -> SearchResult:
        is_kept = request.after is not None and not request.anew
        return replace(await find(request), is_kept=is_kept)

    monkeypatch.setattr(stage.search, "search", keep_pages)
    for number in range(3):
        await stage.index("PRODUCT", f"P{number}", "anvil")
    query = """query ($after: String) { search(text: "anvil", first: 1, after: $after) {
      totalCount pageInfo { endCursor } } }"""
    stage.freshness.requires_any = is_required
    first = (await stage.ask(query))["search"]
    assert stage.freshness.records == []
    await stage.ask(query, after=first["pageInfo"]["endCursor"])
    told = [(each.path, each.read_model, each.complete) for each in stage.freshness.records]
    assert told == ([] if is_required else [(["search"], "order_search", False)])


async def test_a_hit_whose_document_is_not_there_yet_is_counted_but_not_shown(
    stage: Stage,
) -> None:
    for number in range(5):
        await stage.index("PRODUCT", f"P{number}", "anvil")
    await stage.products(*(product_document(f"P{number}") for number in (0, 2, 4)))
    query = """query ($after: String) { search(text: "anvil", first: 2, after: $after) { totalCount
      edges { node { ... on Product { sku } } } pageInfo { hasNextPage endCursor } } }"""
    shown, after = [], None
    for more in (True, True, False):
        page = (await stage.ask(query, after=after))["search"]
        assert page["totalCount"] == 5
        assert page["pageInfo"]["hasNextPage"] is more
        shown += [edge["node"]["sku"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
    assert sorted(shown) == ["P0", "P2", "P4"]
    assert set(stage.freshness.absences) == {"search"}


@pytest.mark.parametrize(
    ("selection", "joins"),
    [
        ("totalCount pageInfo { endCursor }", False),
        ("edges { score }", True),
        ("found: edges { score }", True),
        ("... { ...Found }", True),
    ],
)
async def test_a_search_reads_documents_only_where_hits_are_shown(
    stage: Stage, selection: str, joins: bool
) -> None:
    await stage.index("PRODUCT", "ANVIL", "anvil")
    await stage.products(product_document("ANVIL"))
    fragment = "fragment Found on SearchConnection { edges { score } }"
    used = fragment if "...Found" in selection else ""
    await stage.ask(f'{{ search(text: "anvil") {{ {selection} }} }} {used}')
    assert ("products" in stage.freshness.read) is joins


async def test_every_read_takes_the_freshness_of_its_read_model(stage: Stage) -> None:
    await stage.customers(customer_document([]))
    await stage.ask(
        "query ($id: ID!) { customer(id: $id) { id } orders { edges { cursor } } "
        'products { edges { cursor } } search(text: "x") { totalCount } }',
        id=customer_id(),
    )
    assert set(stage.freshness.read) >= {"customer_orders", "orders", "products", "order_search"}


async def test_what_is_empty_is_recorded_as_an_absence(stage: Stage) -> None:
    await stage.customers(customer_document([]))
    lists = """orders { edges { cursor } } products { edges { cursor } }
      customers(filter: {nameStartsWith: "Zorro"}) { edges { cursor } }
      search(text: "x") { totalCount } """
    query = (
        f"query ($id: ID!) {{ {lists} customer(id: $id) {{ orders {{ edges {{ cursor }} }} }} }}"
    )
    await stage.ask(query, id=customer_id())
    everything = {"orders", "products", "customers", "search", "customer.orders"}
    assert set(stage.freshness.absences) == everything


async def test_what_is_found_is_no_absence(stage: Stage) -> None:
    orders = newest_first(range(2))
    await stage.customers(customer_document(orders))
    await stage.orders(*orders)
    await stage.products(product_document("ANVIL"))
    await stage.index("PRODUCT", "ANVIL", "anvil")
    query = """query ($id: ID!) { customer(id: $id) { orders(first: 0) { edges { cursor } } }
      orders { edges { node { customer { name } } } } customers { edges { cursor } }
      products { edges { cursor } } search(text: "anvil", first: 0) { edges { score } } }"""
    await stage.ask(query, id=customer_id())
    assert stage.freshness.absences == []
