"""Nulls: the absence of a thing has a bound, the failure to answer has none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.gateway.freshness_bench import Bench, product_of

NULL = "@freshness(maxStalenessMs: 100, onStale: NULL)"
FAIL = "@freshness(maxStalenessMs: 100, onStale: FAIL)"
INCOMPLETE = (False, None, "UNKNOWN")


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def entries(bench: Bench, query: str, **facts: Any) -> dict[tuple[Any, ...], Any]:
    """Return the entries by path of an answer that may have errors."""
    result = await bench.send(query, bench.context(**facts))
    told = (result.extensions or {})["freshness"]["fields"]
    return {tuple(entry["path"]): entry for entry in told}


def claim(entry: dict[str, Any]) -> tuple[Any, Any, Any]:
    return entry["complete"], entry["maxStalenessMs"], entry["status"]


def stale_orders(bench: Bench) -> None:
    """Let orders fall 500 ms behind while customers keep up."""
    bench.tide.pass_by(500)
    bench.tide.probe("customers")
    bench.tide.tick("customers")


async def test_the_absence_of_a_thing_has_a_bound(bench: Bench) -> None:
    found = await entries(bench, '{ customer(id: "nobody") { name orderCount } }')
    assert list(found) == [("customer",)]
    assert claim(found["customer",]) == (True, 0, "LIVE")


@pytest.mark.parametrize("demand", [NULL, FAIL])
async def test_a_stale_object_that_is_not_shown_is_no_absence(bench: Bench, demand: str) -> None:
    bench.tide.pass_by(500)
    found = await entries(bench, f"{{ customer {demand} {{ name orderCount }} }}")
    assert {path: claim(entry) for path, entry in found.items()} == {("customer",): INCOMPLETE}
    assert found["customer",]["readModel"] == "customer_orders"


@pytest.mark.parametrize("demand", [NULL, FAIL])
async def test_a_stale_leaf_that_is_not_shown_is_no_absence(bench: Bench, demand: str) -> None:
    stale_orders(bench)
    found = await entries(bench, f"{{ customer {{ name lastOrder {demand} }} }}")
    assert claim(found["customer", "lastOrder"]) == INCOMPLETE
    assert found["customer", "lastOrder"]["sources"] == ["orders"]
    assert claim(found["customer",]) == (True, 0, "LIVE")


@pytest.mark.parametrize("demand", [NULL, FAIL])
async def test_a_null_that_came_up_from_below_is_no_absence(bench: Bench, demand: str) -> None:
    stale_orders(bench)
    found = await entries(bench, f"{{ customer {demand} {{ name orderCount }} }}")
    assert {path: claim(entry) for path, entry in found.items()} == {("customer",): INCOMPLETE}


async def test_one_item_that_is_not_shown_is_told_of_by_its_index(bench: Bench) -> None:
    bench.tide.pass_by(500)
    bench.tide.probe("inventory", "customers")
    bench.tide.tick("inventory", "customers")
    query = f"{{ search {{ edges {{ node {NULL} {{ __typename }} }} }} }}"
    found = await entries(bench, query)
    assert found["search", "edges", "node"]["complete"] is False
    own = {path[2]: entry for path, entry in found.items() if len(path) == 4}
    by_item = {index: own.get(index, found["search", "edges", "node"]) for index in range(3)}
    assert claim(by_item[0]) == INCOMPLETE
    assert [by_item[index]["readModel"] for index in (1, 2)] == ["products", "customer_orders"]


async def test_what_could_not_be_read_is_no_absence(bench: Bench) -> None:
    found = await entries(bench, "{ customer { name } }", unavailable=True)
    assert claim(found["customer",]) == INCOMPLETE


async def test_a_source_that_could_not_be_asked_is_named(bench: Bench) -> None:
    bench.tide.pass_by(500)
    query = "{ customer @freshness(maxStalenessMs: 100, onStale: SOURCE) { name } }"
    found = await entries(bench, query, unavailable=True)
    assert claim(found["customer",]) == INCOMPLETE
    told = found["customer",]
    assert (told["servedFrom"], told["readModel"]) == ("SOURCE", None)


async def test_the_freshness_of_a_field_that_is_not_shown_has_no_bound(bench: Bench) -> None:
    stale_orders(bench)
    query = f"""{{ customer {{ lastOrder {NULL}
      freshness(field: "lastOrder") {{ complete maxStalenessMs }}
      name: freshness(field: "name") {{ complete maxStalenessMs }} }} }}"""
    data: Any = (await bench.send(query)).data
    assert data["customer"]["freshness"] == {"complete": False, "maxStalenessMs": None}
    assert data["customer"]["name"] == {"complete": True, "maxStalenessMs": 0}


async def test_an_answer_without_data_tells_nothing_of_fields(bench: Bench) -> None:
    bench.tide.pass_by(500)
    assert await entries(bench, f"{{ customers {FAIL} {{ name }} }}") == {}


async def test_a_request_that_was_not_executed_tells_nothing(bench: Bench) -> None:
    query = "query ($id: String!) { customer(id: $id) { name } }"
    result = await bench.send(query)
    assert result.errors is not None
    assert result.extensions == {}


async def test_only_members_that_were_found_are_told_of(bench: Bench) -> None:
    query = "{ search { edges { node { __typename ... on Order { customer { name } } } } } }"
    found = await entries(bench, query, found=[product_of("p1")])
    assert {path: entry["readModel"] for path, entry in found.items()} == {
        ("search",): "order_search",
        ("search", "edges", "node"): "products",
    }


async def test_a_key_that_members_share_is_told_of_by_the_sources_of_each(bench: Bench) -> None:
    query = """{ search { edges { node {
      ... on Product { note: blurb } ... on Customer { note: lastOrder }
    } } } }"""
    found = await entries(bench, query)
    own = {path[2]: entry for path, entry in found.items() if path[-1] == "note" and len(path) > 4}
    common = found["search", "edges", "node", "note"]
    notes = {index: own.get(index, common) for index in (1, 2)}
    told = {index: (one["readModel"], one["sources"]) for index, one in notes.items()}
    assert told == {1: ("products", ["inventory"]), 2: ("customer_orders", ["orders"])}
    assert all(one["maxStalenessMs"] == 0 for one in (*notes.values(), common))
    assert 0 not in own


async def test_the_fields_of_a_list_without_items_are_not_told_of(bench: Bench) -> None:
    query = "{ customers { orders { edges { cursor } } } }"
    assert list(await entries(bench, query, documents={})) == [("customers",)]
