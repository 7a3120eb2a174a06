"""Each choice of `onStale`, at the field that is stale and nowhere else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.gateway.freshness_bench import Bench, Context


@pytest.fixture
def bench() -> Bench:
    return Bench()


def directive(on_stale: str, max_staleness_ms: int = 100, timeout_ms: int = 1_000) -> str:
    return (
        f"@freshness(maxStalenessMs: {max_staleness_ms}, onStale: {on_stale}, "
        f"timeoutMs: {timeout_ms})"
    )


def stale_orders(bench: Bench) -> None:
    """Let orders fall 500 ms behind while customers keep up."""
    bench.tide.pass_by(500)
    bench.tide.probe("customers")
    bench.tide.tick("customers")


async def codes(bench: Bench, query: str) -> tuple[Any, list[tuple[Any, Any]]]:
    result = await bench.send(query)
    errors = result.errors or []
    return result.data, [(error.path, (error.extensions or {})["code"]) for error in errors]


@pytest.mark.parametrize("on_stale", ["SERVE", "WAIT", "SOURCE", "FAIL", "NULL"])
async def test_a_demand_that_is_met_changes_nothing(bench: Bench, on_stale: str) -> None:
    bench.tide.pass_by(100)
    data, errors = await codes(bench, f"query {directive(on_stale)} {{ customer {{ name }} }}")
    assert (data, errors) == ({"customer": {"name": "Ada"}}, [])


async def test_serve_serves_and_tells(bench: Bench) -> None:
    bench.tide.pass_by(5_000)
    fields = await bench.fields(f"{{ customer {directive('SERVE')} {{ name }} }}")
    assert fields["customer",]["maxStalenessMs"] == 5_000


async def test_fail_fails_the_stale_field_and_leaves_the_others(bench: Bench) -> None:
    stale_orders(bench)
    query = f"query {directive('FAIL')} {{ customer {{ name lastOrder }} }}"
    data, errors = await codes(bench, query)
    assert data == {"customer": {"name": "Ada", "lastOrder": None}}
    assert errors == [(["customer", "lastOrder"], "STALE_READ")]


async def test_a_failure_says_what_was_reached_and_what_was_asked(bench: Bench) -> None:
    bench.tide.pass_by(500)
    result = await bench.send(f"{{ customer {directive('FAIL')} {{ name }} }}")
    assert result.errors is not None
    assert result.errors[0].extensions == {
        "code": "STALE_READ",
        "readModel": "customer_orders",
        "sources": ["customers"],
        "demandedMs": 100,
        "reachedMs": 500,
        "onStale": "FAIL",
    }


async def test_a_failure_of_what_is_never_null_takes_its_object_along(bench: Bench) -> None:
    stale_orders(bench)
    query = f"{{ version customer {directive('FAIL')} {{ name orderCount }} }}"
    data, errors = await codes(bench, query)
    assert data == {"version": "1", "customer": None}
    assert errors == [(["customer", "orderCount"], "STALE_READ")]


async def test_a_stale_field_is_not_resolved(bench: Bench) -> None:
    bench.tide.pass_by(500)
    context = bench.context()
    await bench.send(f"{{ customer {directive('FAIL')} {{ name }} }}", context)
    assert context.calls == []


async def test_null_makes_null_without_an_error(bench: Bench) -> None:
    stale_orders(bench)
    query = f"{{ customer {{ name lastOrder {directive('NULL')} }} }}"
    assert await codes(bench, query) == ({"customer": {"name": "Ada", "lastOrder": None}}, [])


async def test_null_takes_what_encloses_a_field_that_is_never_null(bench: Bench) -> None:
    stale_orders(bench)
    query = f"{{ version customer {directive('NULL')} {{ name orderCount }} }}"
    assert await codes(bench, query) == ({"version": "1", "customer": None}, [])


async def test_without_a_proven_bound_no_demand_is_met() -> None:
    bench = Bench()
    bench.tide = type(bench.tide)()
    query = "{ customer @freshness(maxStalenessMs: 2147483647, onStale: FAIL) { name } }"
    _, errors = await codes(bench, query)
    assert errors == [(["customer"], "STALE_READ")]


async def test_members_of_a_union_fail_by_their_own_read_model(bench: Bench) -> None:
    bench.tide.pass_by(500)
    bench.tide.probe("inventory", "customers")
    bench.tide.tick("inventory", "customers")
    query = f"""{{ search {{ edges {{ node {directive("NULL")} {{
      __typename ... on Order {{ id }} ... on Product {{ id }}
    }} }} }} }}"""
    data, errors = await codes(bench, query)
    kinds = [edge["node"] and edge["node"]["__typename"] for edge in data["search"]["edges"]]
    assert (kinds, errors) == ([None, "Product", "Customer"], [])


async def test_the_innermost_demand_wins(bench: Bench) -> None:
    bench.tide.pass_by(500)
    query = f"""query {directive("FAIL")} {{
      customer @freshness(maxStalenessMs: 1000, onStale: FAIL) {{
        name lastOrder {directive("NULL")}
      }}
    }}"""
    assert await codes(bench, query) == ({"customer": {"name": "Ada", "lastOrder": None}}, [])


async def test_source_asks_the_write_service_and_says_so(bench: Bench) -> None:
    bench.tide.pass_by(500)
    context = bench.context()
    fields = await bench.fields(f"{{ customer {directive('SOURCE')} {{ name }} }}", context)
    assert context.calls == ["customer", "source"]
    assert fields["customer",]["servedFrom"] == "SOURCE"
    assert fields["customer",]["readModel"] is None
    assert (fields["customer",]["maxStalenessMs"], fields["customer",]["status"]) == (0, "LIVE")


async def test_a_stale_leaf_is_answered_by_the_source_of_its_object(bench: Bench) -> None:
    stale_orders(bench)
    context = bench.context()
    query = f"{{ customer {{ name orderCount {directive('SOURCE')} }} }}"
    fields = await bench.fields(query, context)
    assert "source" in context.calls
    assert fields["customer",]["servedFrom"] == "SOURCE"


async def waiting(bench: Bench, query: str, context: Context | None = None) -> asyncio.Task[Any]:
    """Send a query and let it come to where it waits."""
    task = asyncio.create_task(bench.send(query, context))
    for _ in range(20):
        await asyncio.sleep(0)
    return task


async def test_wait_waits_until_the_read_model_is_fresh_enough(bench: Bench) -> None:
    bench.tide.pass_by(500)
    context = bench.context()
    query = f"{{ customer {directive('WAIT')} {{ name }} }}"
    task = await waiting(bench, query, context)
    assert context.calls == []
    bench.tide.probe()
    await asyncio.sleep(0)
    assert not task.done()
    bench.tide.tick()
    result = await task
    assert result.errors is None
    (entry,) = result.extensions["freshness"]["fields"]
    assert entry["maxStalenessMs"] == 0


async def test_wait_fails_at_the_field_when_its_time_is_up(bench: Bench) -> None:
    bench.tide.pass_by(500)
    query = f"{{ customer {directive('WAIT', timeout_ms=200)} {{ name }} version }}"
    task = await waiting(bench, query)
    bench.tide.pass_by(201)
    bench.tide.apply()  # nothing new; whoever waits looks at the clock
    result = await task
    assert result.data == {"customer": None, "version": "1"}
    assert [error.path for error in result.errors] == [["customer"]]
    assert result.errors[0].extensions["reachedMs"] == 701


async def test_each_demand_has_a_deadline_of_its_own(bench: Bench) -> None:
    bench.tide.pass_by(500)
    query = f"""{{
      a: customer {directive("WAIT", timeout_ms=100)} {{ name }}
      b: customer {directive("WAIT", max_staleness_ms=250, timeout_ms=400)} {{ name }}
    }}"""
    task = await waiting(bench, query)
    bench.tide.pass_by(150)
    bench.tide.apply()
    await asyncio.sleep(0)
    assert not task.done()
    bench.tide.settle()
    bench.tide.pass_by(200)
    bench.tide.apply()
    result = await task
    assert (result.data["a"], result.data["b"]) == (None, {"name": "Ada"})


async def test_a_page_from_another_read_model_is_judged_by_that_one(bench: Bench) -> None:
    bench.tide.pass_by(500)
    bench.tide.settle()
    bench.tide.publish("orders")
    bench.tide.tick("orders")
    bench.tide.apply("customer_orders")
    bench.tide.pass_by(150)
    bench.tide.probe()
    bench.tide.tick()
    bench.tide.apply("customer_orders")
    query = f"{{ customer {{ orders {directive('FAIL')} {{ edges {{ cursor }} }} }} }}"
    assert (await bench.send(query)).errors is None
    result = await bench.send(query, bench.context(pages_elsewhere=("c1",)))
    assert result.errors is not None
    assert result.errors[0].path == ["customer", "orders"]
    assert (result.errors[0].extensions or {})["readModel"] == "orders"


async def test_a_part_of_an_answer_meets_no_demand(bench: Bench) -> None:
    query = f"{{ search {directive('FAIL')} {{ edges {{ __typename }} }} }}"
    result = await bench.send(query, bench.context(complete=False))
    assert result.errors is not None
    assert (result.errors[0].extensions or {})["code"] == "STALE_READ"
