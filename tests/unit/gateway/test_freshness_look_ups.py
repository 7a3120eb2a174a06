"""Look-ups by key: a document is as fresh as the partition of its key."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse

from gateway.freshness.look_ups import keys_of
from gateway.freshness.plans import Plans
from gateway.identity import global_id
from gateway.schema.schema import make_schema
from slackwater.event_log.partitioner import partition_of
from slackwater.event_log.port import TopicPartition
from slackwater.watermarks.record import Watermark
from tests.unit.gateway.freshness_bench import Bench, customer_of, token

TOPICS = ("customers", "orders")
AHEAD = next(key for key in map(str, range(9)) if partition_of(key, 2) == 0)
BEHIND = next(key for key in map(str, range(9)) if partition_of(key, 2) == 1)
QUERY = "query ($id: String!) { customer(id: $id) { name orderCount orders { edges { cursor } } } }"


@pytest.fixture
def bench() -> Bench:
    """A bench where 200 ms have passed, and only the first partition has been applied since."""
    bench = Bench()
    tide = bench.tide
    tide.pass_by(200)
    tide.probe()
    for topic in TOPICS:
        tide.raise_tick(topic)
        tick, offsets = tide.ticks[topic], {topic: [5, 5]}
        watermark = Watermark(
            source=topic, epoch=tick.epoch, n=tick.n, clock=tide.clock.now(), offsets=offsets
        )
        tide.board.on_watermarks([watermark])
    tide.applied["customer_orders"] = {TopicPartition(topic, 0): 5 for topic in TOPICS}
    tide.apply("products")  # which lets the board hear of all
    return bench


async def bounds(bench: Bench, query: str, **variables: Any) -> dict[tuple[Any, ...], int]:
    documents = {key: customer_of(key).document for key in (AHEAD, BEHIND)}
    fields = await bench.fields(query, bench.context(documents=documents), **variables)
    return {path: entry["maxStalenessMs"] for path, entry in fields.items()}


async def test_a_document_is_as_fresh_as_its_own_partition(bench: Bench) -> None:
    paths = [("customer",), ("customer", "orderCount"), ("customer", "orders")]
    assert await bounds(bench, QUERY, id=AHEAD) == dict.fromkeys(paths, 0)
    assert await bounds(bench, QUERY, id=BEHIND) == dict.fromkeys(paths, 200)


async def test_two_look_ups_of_one_operation_have_a_bound_each(bench: Bench) -> None:
    query = f"""query ($id: String = "{AHEAD}") {{
      ahead: customer(id: $id) {{ name }} behind: customer(id: "{BEHIND}") {{ name }} }}"""
    assert await bounds(bench, query) == {("ahead",): 0, ("behind",): 200}


async def test_a_list_and_what_is_joined_wait_for_all_partitions(bench: Bench) -> None:
    bench.tide.apply("orders")
    query = "{ customers { name } order { customer { name } } }"
    found = await bounds(bench, query)
    assert found["customers",] == found["order", "customer"] == 200


async def test_the_read_model_is_told_of_as_a_whole(bench: Bench) -> None:
    documents = {AHEAD: customer_of(AHEAD).document}
    told = await bench.told(QUERY, bench.context(documents=documents), id=AHEAD)
    assert told["readModels"]["customer_orders"]["maxStalenessMs"] == 200


@pytest.mark.parametrize(("key", "limit"), [(AHEAD, "PROBE"), (BEHIND, "PROJECTOR")])
async def test_what_limits_a_document_is_told_of_its_own_partition(
    bench: Bench, key: str, limit: str
) -> None:
    bench.tide.pass_by(20)
    documents = {key: customer_of(key).document}
    context = bench.context("FULL; explain", documents=documents)
    entries = await bench.fields(QUERY, context, id=key)
    assert {entry["limitedBy"] for entry in entries.values()} == {limit}


@pytest.mark.parametrize("on_stale", ["FAIL", "WAIT"])
async def test_a_demand_is_held_against_the_key_s_partition(bench: Bench, on_stale: str) -> None:
    query = f"""query ($id: String!) {{ customer(id: $id)
      @freshness(maxStalenessMs: 100, onStale: {on_stale}, timeoutMs: 0) {{ name orderCount }} }}"""
    assert await bounds(bench, query, id=AHEAD) == {
        ("customer",): 0,
        ("customer", "orderCount"): 0,
    }
    result = await bench.send(query, id=BEHIND)
    assert [(error.extensions or {})["code"] for error in result.errors or ()] == ["STALE_READ"]


async def test_a_source_is_asked_only_where_the_key_s_partition_is_too_stale(bench: Bench) -> None:
    query = """query ($id: String!) { customer(id: $id)
      @freshness(maxStalenessMs: 100, onStale: SOURCE) { name } }"""
    for key, calls in ((AHEAD, ["customer"]), (BEHIND, ["customer", "source"])):
        context = bench.context(documents={key: customer_of(key).document})
        await bench.told(query, context, id=key)
        assert context.calls == calls


async def test_a_write_is_awaited_in_the_partition_of_what_is_looked_up(bench: Bench) -> None:
    query = "query ($id: String!) @freshness(maxStalenessMs: 9999, timeoutMs: 0) " + (
        "{ customer(id: $id) { name orderCount } }"
    )
    documents = {key: customer_of(key).document for key in (AHEAD, BEHIND)}
    written = token(customers=2, orders=2)
    found = {
        key: await bench.send(query, bench.context(documents=documents, read_after=written), id=key)
        for key in (AHEAD, BEHIND)
    }
    assert found[AHEAD].errors is None
    assert [(error.extensions or {})["code"] for error in found[BEHIND].errors or ()] == [
        "STALE_READ"
    ]


@pytest.mark.parametrize(
    "beside", ["customers { name }", f'behind: customer(id: "{BEHIND}") {{ name }}']
)
async def test_a_write_is_awaited_everywhere_if_something_else_is_read_beside(
    bench: Bench, beside: str
) -> None:
    query = f"""query @freshness(maxStalenessMs: 9999, timeoutMs: 0) {{
      customer(id: "{AHEAD}") {{ name }} {beside} }}"""
    documents = {key: customer_of(key).document for key in (AHEAD, BEHIND)}
    context = bench.context(documents=documents, read_after=token(customers=2))
    result = await bench.send(query, context)
    assert [(error.extensions or {})["code"] for error in result.errors or ()] == ["STALE_READ"]


CUSTOMER, ORDER, PRODUCT = (global_id(name, "k") for name in ("Customer", "Order", "Product"))
LOOK_UPS = [
    (f'customer(id: "{CUSTOMER}") {{ name }}', ["k"]),
    (f'node(id: "{CUSTOMER}") {{ ... on Customer {{ name }} }}', ["k"]),
    (
        f'node(id: "{PRODUCT}") {{ ... on Product {{ sku }} ... on Customer {{ name }} }}',
        ["k", None],
    ),
    ('product(sku: "k") { name }', ["k"]),
    ("customer(id: $id) { name }", ["k"]),
    (f'customer(id: "{ORDER}") {{ name }}', [None]),
    ('customer(id: "none") { name }', [None]),
    (f'order(id: "{ORDER}") {{ customer {{ name }} }}', ["k"]),
    ("customers { edges { node { name } } }", []),
    ("products { edges { node { sku } } }", []),
    ('search(text: "x") { edges { node { ... on Customer { name } } } }', []),
]


@pytest.mark.parametrize(("selection", "keys"), LOOK_UPS)
def test_the_store_looks_up_customers_orders_and_products_by_their_keys(
    selection: str, keys: list[str | None]
) -> None:
    document = parse(f"query ($id: ID) {{ {selection} }}")
    plan = Plans(make_schema()._schema).plan(document, None, {})
    assert plan is not None
    found = keys_of(plan.look_ups, plan.operation, {"id": CUSTOMER})
    assert sorted(map(str, found)) == sorted(map(str, keys))


@pytest.mark.parametrize("field", ["orderCount", "orders { edges { cursor } }"])
def test_what_the_document_of_a_customer_holds_is_looked_up_with_it(field: str) -> None:
    by_id = f'{{ customer(id: "x") {{ {field} }} }}'
    listed = f"{{ customers {{ edges {{ node {{ {field} }} }} }} }}"
    for query, look_ups in ((by_id, {0}), (listed, {None})):
        plan = Plans(make_schema()._schema).plan(parse(query), None, {})
        assert plan is not None
        assert {place.look_up for place in plan.places} == look_ups
