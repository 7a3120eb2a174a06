"""What an answer says of what is parked: of its key, of lists, and of everything else."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse

from gateway.freshness.look_ups import keys_of
from gateway.freshness.plans import Plans
from gateway.identity import global_id
from gateway.schema.schema import make_schema
from tests.unit.gateway.freshness_bench import Bench, customer_of, token

QUERY = "query ($id: String!) { customer(id: $id) { name orderCount } }"
DEMAND = "@freshness(maxStalenessMs: 100, onStale: FAIL)"
ACCEPTING = "@freshness(maxStalenessMs: 100, onStale: FAIL, allowHoles: true)"
LISTED = "{ customers { orderCount %s } }"


@pytest.fixture
def bench() -> Bench:
    """A bench in which an order's event of customer c1 was parked 500 ms ago; all else is fresh."""
    bench = Bench()
    for read_model in ("customer_orders", "orders"):
        bench.tide.park(read_model, "orders", "c1", "o1")
    bench.tide.pass_by(500)
    bench.tide.settle()
    return bench


async def codes(bench: Bench, query: str, **facts: Any) -> list[str]:
    result = await bench.send(query, bench.context(**facts), id="c1")
    return [(error.extensions or {})["code"] for error in result.errors or ()]


async def test_the_fields_of_a_parked_key_are_stalled_and_say_why(bench: Bench) -> None:
    fields = await bench.fields(QUERY, bench.context("FULL; explain"), id="c1")
    parked = fields["customer", "orderCount"]
    assert (parked["status"], parked["limitedBy"]) == ("STALLED", "HOLE")
    assert (parked["maxStalenessMs"], parked["staleExceptHolesMs"]) == (500, 0)
    assert (parked["holes"], parked["reason"]) == (1, "UndecodableEventError")
    other = fields["customer",]
    assert (other["status"], other["maxStalenessMs"]) == ("LIVE", 0)
    assert not {"holes", "staleExceptHolesMs", "reason"} & other.keys()


async def test_another_key_is_live(bench: Bench) -> None:
    fields = await bench.fields(QUERY, id="c2")
    assert {entry["status"] for entry in fields.values()} == {"LIVE"}
    assert {entry["maxStalenessMs"] for entry in fields.values()} == {0}


async def test_lists_carry_both_bounds_and_the_number_of_holes(bench: Bench) -> None:
    told = await bench.told("{ customers { name orderCount } }")
    entries = {tuple(entry["path"]): entry for entry in told["fields"]}
    listed = entries["customers", "orderCount"]
    assert (listed["status"], listed["holes"]) == ("STALLED", 1)
    assert (listed["maxStalenessMs"], listed["staleExceptHolesMs"]) == (500, 0)
    model = told["readModels"]["customer_orders"]
    assert (model["holes"], model["maxStalenessMs"], model["staleExceptHolesMs"]) == (1, 500, 0)
    assert entries["customers",]["status"] == "LIVE", "its own source has no hole"


async def test_the_same_is_told_in_fields(bench: Bench) -> None:
    words = "holes maxStalenessMs staleExceptHolesMs status limitedBy"
    query = f'{{ customers {{ freshness(field: "orderCount") {{ {words} }} }} }}'
    result = await bench.send(query)
    assert result.data is not None
    assert result.data["customers"][0]["freshness"] == {
        "holes": 1,
        "maxStalenessMs": 500,
        "staleExceptHolesMs": 0,
        "status": "STALLED",
        "limitedBy": "HOLE",
    }


async def test_a_demand_on_a_list_is_met_only_by_who_accepts_holes(bench: Bench) -> None:
    assert await codes(bench, LISTED % DEMAND) == ["STALE_READ"]
    assert await codes(bench, LISTED % ACCEPTING) == []


async def test_holes_are_no_excuse_for_what_is_late_besides(bench: Bench) -> None:
    bench.tide.pass_by(101)
    assert await codes(bench, LISTED % ACCEPTING) == ["STALE_READ"]


@pytest.mark.parametrize("demand", [DEMAND, ACCEPTING])
async def test_a_demand_on_a_parked_key_is_not_met(bench: Bench, demand: str) -> None:
    query = f"query ($id: String!) {{ customer(id: $id) {{ name orderCount {demand} }} }}"
    assert await codes(bench, query) == ["STALE_READ"]


async def test_a_stale_read_says_that_there_is_a_hole(bench: Bench) -> None:
    result = await bench.send(LISTED % DEMAND)
    assert result.errors
    assert result.errors[0].extensions is not None
    assert (result.errors[0].extensions["holes"], result.errors[0].extensions["reachedMs"]) == (
        1,
        500,
    )


async def test_a_token_is_not_satisfied_by_what_is_parked(bench: Bench) -> None:
    query = """query ($id: String!) @freshness(maxStalenessMs: 9999, timeoutMs: 0) {
      customer(id: $id) { orderCount } }"""
    written = token(orders=2)  # the tick at which the parked event was published
    results = {
        key: await bench.send(query, bench.context(read_after=written), id=key)
        for key in ("c1", "c2")
    }
    assert results["c2"].errors is None
    assert [error.extensions for error in results["c1"].errors or ()]
    listed = "query @freshness(maxStalenessMs: 9999, timeoutMs: 0) { customers { orderCount } }"
    assert await codes(bench, listed, read_after=written) == ["STALE_READ"]


async def test_a_page_from_another_read_model_counts_the_holes_of_its_customer(
    bench: Bench,
) -> None:
    query = "query ($id: String!) { customer(id: $id) { orders { edges { cursor } } } }"
    statuses = {}
    for key in ("c1", "c2"):
        documents = {key: customer_of(key).document}
        context = bench.context(documents=documents, pages_elsewhere=(key,))
        fields = await bench.fields(query, context, id=key)
        page = fields["customer", "orders"]
        assert page["readModel"] == "orders"
        statuses[key] = page["status"]
    assert statuses == {"c1": "STALLED", "c2": "LIVE"}


async def test_absence_of_what_is_parked_is_not_proven(bench: Bench) -> None:
    bench.tide.park("customer_orders", "customers", "c9", "c9")
    bench.tide.pass_by(50)
    bench.tide.settle()
    fields = await bench.fields(QUERY, bench.context(documents={}), id="c9")
    assert fields["customer",]["absence"] == "POSSIBLY_LAGGING"
    assert fields["customer",]["status"] == "STALLED"


CUSTOMER, ORDER = global_id("Customer", "c"), global_id("Order", "o")
LOOK_UPS = [
    (f'order(id: "{ORDER}") {{ id }}', {}, ["o"]),
    (f'orders(filter: {{customerId: "{CUSTOMER}"}}) {{ edges {{ cursor }} }}', {}, ["c"]),
    ("orders(filter: $filter) { edges { cursor } }", {"filter": {"customerId": CUSTOMER}}, ["c"]),
    ("orders(filter: {customerId: $id}) { edges { cursor } }", {"id": CUSTOMER}, ["c"]),
    ("orders(filter: $filter) { edges { cursor } }", {"filter": {"status": []}}, [None]),
    ("orders(filter: $filter) { edges { cursor } }", {}, [None]),
    ("orders(filter: {status: [PENDING]}) { edges { cursor } }", {}, []),
    ("orders { edges { cursor } }", {}, []),
]


@pytest.mark.parametrize(("selection", "variables", "keys"), LOOK_UPS)
def test_orders_are_looked_up_by_id_and_listed_by_customer(
    selection: str, variables: dict[str, Any], keys: list[str | None]
) -> None:
    document = parse(f"query ($id: ID, $filter: OrderFilter) {{ {selection} }}")
    plan = Plans(make_schema()._schema).plan(document, None, {})
    assert plan is not None
    assert list(keys_of(plan.look_ups, plan.operation, variables)) == keys
