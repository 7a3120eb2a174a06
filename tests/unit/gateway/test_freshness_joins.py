"""Joins: how far apart the inputs of an answer are, and whether they agree on every tick."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.gateway.freshness_bench import Bench

ORDER = "{ order { status customer { name } } }"
SEARCH = "{ search { edges { node { ... on Order { status } } } } }"
BOTH_OF_ORDERS = "{ order { status } customer { name orders { edges { cursor } } } }"


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def explained(bench: Bench, query: str, **facts: Any) -> Any:
    result = await bench.send(query, bench.context("FULL; explain", **facts))
    return (result.extensions or {})["freshness"]


async def test_one_input_is_no_join(bench: Bench) -> None:
    assert "join" not in await explained(bench, "{ customer { name } }")


async def test_a_join_is_told_only_where_it_is_to_be_explained(bench: Bench) -> None:
    told = await bench.told(ORDER)
    assert "join" not in told
    assert all("join" not in entry for entry in told["fields"])


async def test_the_spread_is_the_time_between_what_the_inputs_prove(bench: Bench) -> None:
    bench.tide.pass_by(70.2)
    bench.tide.probe("customers")
    bench.tide.tick("customers")
    bench.tide.pass_by(5)
    told = await explained(bench, ORDER)
    assert told["join"] == {"spreadMs": 71, "consistent": True}
    assert {tuple(one["path"]): one["maxStalenessMs"] for one in told["fields"]} == {
        ("order",): 76,
        ("order", "customer"): 5,
    }


async def test_a_field_of_several_sources_has_a_spread_of_its_own(bench: Bench) -> None:
    bench.tide.pass_by(40)
    bench.tide.probe("orders", "inventory")
    bench.tide.tick("orders", "inventory")
    told = await explained(bench, SEARCH)
    entries = {tuple(one["path"]): one for one in told["fields"]}
    assert entries["search",]["join"] == {"spreadMs": 40, "consistent": True}
    assert entries["search",]["maxStalenessMs"] == 40


async def test_read_models_that_have_reached_other_ticks_of_a_source_are_inconsistent(
    bench: Bench,
) -> None:
    assert (await explained(bench, BOTH_OF_ORDERS))["join"]["consistent"] is True
    bench.tide.pass_by(30)
    bench.tide.publish("orders")
    bench.tide.probe()
    bench.tide.tick()
    bench.tide.apply("orders")
    told = await explained(bench, BOTH_OF_ORDERS)
    assert told["join"] == {"spreadMs": 30, "consistent": False}
    bench.tide.apply("customer_orders")
    assert (await explained(bench, BOTH_OF_ORDERS))["join"] == {"spreadMs": 0, "consistent": True}


async def test_a_source_that_was_asked_itself_is_at_no_known_tick(bench: Bench) -> None:
    bench.tide.pass_by(500)
    bench.tide.probe("orders")
    bench.tide.tick("orders")
    bench.tide.pass_by(20)
    query = """{ order { status
      customer @freshness(maxStalenessMs: 100, onStale: SOURCE) { name } } }"""
    told = await explained(bench, query)
    assert told["join"] == {"spreadMs": 20, "consistent": False}


async def test_an_input_of_which_nothing_is_proven_has_no_spread(bench: Bench) -> None:
    told = await explained(bench, SEARCH, complete=False)
    assert told["join"] == {"spreadMs": None, "consistent": False}
