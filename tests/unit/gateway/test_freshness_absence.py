"""Nulls: the absence of a thing has a bound, the failure to answer has none."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.freshness.entries import Entry, possibly_lagging
from gateway.freshness.serving import Serving
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


NOBODY = '{ customer(id: "nobody") %s { name } }'
LAGGING = "POSSIBLY_LAGGING"


def marked(found: dict[tuple[Any, ...], Any]) -> set[tuple[Any, ...]]:
    """Return the paths of the entries under which lag may explain an absence."""
    assert {entry["absence"] for entry in found.values() if "absence" in entry} <= {LAGGING}
    return {path for path, entry in found.items() if "absence" in entry}


async def test_lag_may_explain_a_null_however_small_the_bound(bench: Bench) -> None:
    bench.tide.pass_by(1)
    found = await entries(bench, NOBODY % "")
    assert marked(found) == {("customer",)}
    assert claim(found["customer",]) == (True, 1, "LIVE")


@pytest.mark.parametrize("on_stale", ["FAIL", "NULL", "WAIT", "SERVE"])
async def test_a_demand_that_is_met_does_not_make_a_null_certain(
    bench: Bench, on_stale: str
) -> None:
    bench.tide.pass_by(50)
    found = await entries(bench, NOBODY % f"@freshness(maxStalenessMs: 100, onStale: {on_stale})")
    assert marked(found) == {("customer",)}


async def test_a_null_is_certain_once_all_that_was_visible_at_the_request_is_applied(
    bench: Bench,
) -> None:
    bench.tide.pass_by(50)
    context = bench.context()
    bench.tide.pass_by(10)
    bench.tide.settle()
    found = await bench.fields(NOBODY % "", context)
    assert marked(found) == set()
    assert claim(found["customer",]) == (True, 0, "LIVE")


async def test_one_source_that_is_behind_leaves_a_list_uncertain(bench: Bench) -> None:
    context = bench.context(complete=False)
    bench.tide.pass_by(10)
    bench.tide.probe("customers", "orders")
    bench.tide.tick("customers", "orders")
    assert marked(await bench.fields("{ search { edges { __typename } } }", context)) == {
        ("search",)
    }


async def test_a_null_of_its_source_is_certain(bench: Bench) -> None:
    bench.tide.pass_by(500)
    query = NOBODY % "@freshness(maxStalenessMs: 100, onStale: SOURCE)"
    found = await entries(bench, query)
    assert found["customer",]["servedFrom"] == "SOURCE"
    assert marked(found) == set()


async def test_a_null_that_stands_for_a_failure_is_no_absence(bench: Bench) -> None:
    bench.tide.pass_by(500)
    assert marked(await entries(bench, NOBODY % FAIL)) == set()
    assert marked(await entries(bench, "{ customer { name } }", unavailable=True)) == set()


async def test_lag_may_explain_an_empty_list_and_a_hit_without_its_document(bench: Bench) -> None:
    bench.tide.pass_by(1)
    assert marked(await entries(bench, "{ customers { name } }", documents={})) == {("customers",)}
    found = await entries(bench, "{ search { edges { node { __typename } } } }", complete=False)
    assert marked(found) == {("search",)}
    assert claim(found["search",]) == INCOMPLETE


async def test_lag_may_explain_a_null_below_a_joined_object(bench: Bench) -> None:
    bench.tide.pass_by(1)
    query = """{ search { edges { node { __typename
      ... on Order { customer { name } } ... on Customer { name lastOrder } } } } }"""
    found = await entries(bench, query, documents={})
    assert marked(found) == {("search", "edges", "node", "customer")}


async def test_what_is_there_is_no_absence(bench: Bench) -> None:
    bench.tide.pass_by(1)
    query = "{ customer { name nick lastOrder } customers { name orders { edges { cursor } } } }"
    assert marked(await entries(bench, query)) == set()


@pytest.mark.parametrize(
    ("absent", "told_at"),
    [
        (("a", 0, "b"), ("a", 0, "b")),
        (("a", 1, "b"), ("a", "b")),
        (("a", 1, "b", "c"), ("a", "b")),
        (("a", 1), ("a",)),
    ],
)
def test_an_absence_is_told_at_the_nearest_entry_that_holds_for_it(
    absent: tuple[Any, ...], told_at: tuple[Any, ...]
) -> None:
    paths: list[tuple[Any, ...]] = [("a",), ("a", "b"), ("a", 0, "b")]
    serving = Serving(read_model="orders", sources=("orders",))
    told = [Entry(path=path, serving=serving) for path in paths]
    assert possibly_lagging(told, [absent], lambda _: False) == {told_at}
    assert possibly_lagging(told, [absent], lambda _: True) == set()
