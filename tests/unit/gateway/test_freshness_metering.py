"""Metrics of freshness: bounds that were served, waits, and what came of demands not met."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from tests.unit.gateway.freshness_bench import Bench, token

OUTCOMES = ("served", "waited", "failed", "source", "null")
BOUNDS = "slackwater_bound_served_seconds"


@pytest.fixture
def bench() -> Bench:
    return Bench()


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def outcomes() -> dict[str, float]:
    return {each: value("slackwater_stale_reads_total", outcome=each) for each in OUTCOMES}


async def counted(bench: Bench, query: str, **facts: Any) -> dict[str, float]:
    """Return by how much the counts of outcomes have grown."""
    before = outcomes()
    await bench.send(query, bench.context(**facts))
    return {
        each: count - before[each] for each, count in outcomes().items() if count > before[each]
    }


@pytest.mark.parametrize("header", ["FULL", "SUMMARY", "OFF"])
async def test_the_bound_of_each_input_is_observed_once_an_answer(
    bench: Bench, header: str
) -> None:
    bench.tide.pass_by(250)
    pair = {"read_model": "customer_orders", "source": "customers"}
    before = value(f"{BOUNDS}_count", **pair), value(f"{BOUNDS}_sum", **pair)
    await bench.send("{ a: customer { name } b: customer { name nick } }", bench.context(header))
    assert value(f"{BOUNDS}_count", **pair) - before[0] == 1
    assert value(f"{BOUNDS}_sum", **pair) - before[1] == pytest.approx(0.25)


async def test_a_search_that_is_not_complete_is_counted_as_one_without_a_bound(
    bench: Bench,
) -> None:
    pair = {"read_model": "order_search", "source": "orders"}
    before = value("slackwater_unbounded_reads_total", **pair), value(f"{BOUNDS}_count", **pair)
    query = "{ search { edges { node { __typename } } } }"
    await bench.send(query, bench.context(complete=False))
    assert value("slackwater_unbounded_reads_total", **pair) - before[0] == 1
    assert value(f"{BOUNDS}_count", **pair) == before[1]


async def test_an_answer_of_which_nothing_is_proven_is_counted_apart() -> None:
    bench = Bench()
    bench.tide = type(bench.tide)()
    pair = {"read_model": "customer_orders", "source": "customers"}
    before = value("slackwater_unbounded_reads_total", **pair), value(f"{BOUNDS}_count", **pair)
    await bench.send("{ customer { name } }")
    assert value("slackwater_unbounded_reads_total", **pair) - before[0] == 1
    assert value(f"{BOUNDS}_count", **pair) == before[1]


@pytest.mark.parametrize(
    ("on_stale", "outcome"),
    [
        ("SERVE", "served"),
        ("WAIT", "failed"),
        ("FAIL", "failed"),
        ("NULL", "null"),
        ("SOURCE", "source"),
    ],
)
async def test_a_demand_that_is_not_met_counts_once_for_what_came_of_it(
    bench: Bench, on_stale: str, outcome: str
) -> None:
    demand = f"@freshness(maxStalenessMs: 100, onStale: {on_stale}, timeoutMs: 0)"
    query = f"{{ customer {demand} {{ name nick orderCount lastOrder }} }}"
    assert await counted(bench, query) == {}
    bench.tide.pass_by(500)
    assert await counted(bench, query) == {outcome: 1}


async def test_a_demand_that_was_met_by_waiting_counts_as_waited(bench: Bench) -> None:
    bench.tide.pass_by(500)
    query = "{ customer @freshness(maxStalenessMs: 100, onStale: WAIT) { name } }"
    wait_for = bench.tide.board.wait_for

    async def settled(holds: Callable[[], bool], *, deadline_s: float) -> bool:
        bench.tide.settle()
        return await wait_for(holds, deadline_s=deadline_s)

    bench.tide.board.wait_for = settled  # type: ignore[method-assign]
    waits = value("slackwater_read_wait_seconds_count", reason="demand")
    assert await counted(bench, query) == {"waited": 1}
    assert value("slackwater_read_wait_seconds_count", reason="demand") == waits + 1


async def test_an_answer_that_would_miss_a_write_counts_as_failed(bench: Bench) -> None:
    waits = value("slackwater_read_wait_seconds_count", reason="token")
    context = bench.context(read_after=token(customers=2))
    query = "query @freshness(maxStalenessMs: 9999, timeoutMs: 0) { customer { name } }"
    before = outcomes()
    result = await bench.send(query, context)
    assert result.errors is not None
    assert outcomes()["failed"] == before["failed"] + 1
    assert value("slackwater_read_wait_seconds_count", reason="token") == waits + 1


async def test_an_operation_that_waits_for_nothing_is_not_metered_as_a_wait(bench: Bench) -> None:
    waits = [
        value("slackwater_read_wait_seconds_count", reason=each) for each in ("token", "demand")
    ]
    await bench.send("{ customer { name } }", bench.context(read_after=token(inventory=1)))
    assert waits == [
        value("slackwater_read_wait_seconds_count", reason=each) for each in ("token", "demand")
    ]
