"""Commands: what they answer comes from their service, and no read model is asked about it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.gateway.freshness_bench import Bench, token

RENAME = """mutation { rename(name: "x") %s { __typename ... on Renamed {
  customer { name orderCount freshness(field: "name") { servedFrom status maxStalenessMs } }
} } }"""


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_repeated_answer_has_no_bound(bench: Bench) -> None:
    result = await bench.send(RENAME % "", bench.context(repeated=True))
    assert result.errors is None
    (entry,) = (result.extensions or {})["freshness"]["fields"]
    assert (entry["path"], entry["servedFrom"]) == (["rename"], "CACHE")
    assert (entry["status"], entry["maxStalenessMs"], entry["asOf"]) == ("UNKNOWN", None, None)
    assert result.data is not None
    told = result.data["rename"]["customer"]["freshness"]
    assert told == {"servedFrom": "CACHE", "status": "UNKNOWN", "maxStalenessMs": None}


async def test_a_repeated_answer_is_no_failure_of_a_token(bench: Bench) -> None:
    context = bench.context(repeated=True, read_after=token(customers=9))
    assert (await bench.send(RENAME % "", context)).errors is None


@pytest.mark.parametrize("on_stale", ["FAIL", "WAIT", "SOURCE"])
async def test_a_demand_on_a_payload_is_none_on_the_commands_own_answer(
    bench: Bench, on_stale: str
) -> None:
    bench.tide.pass_by(5_000)
    demand = f"@freshness(maxStalenessMs: 0, onStale: {on_stale}, timeoutMs: 0)"
    result = await bench.send(RENAME % demand)
    assert result.errors is None
    assert result.data is not None
    assert result.data["rename"]["customer"]["name"] == "Ada"


async def test_a_demand_on_a_payload_holds_for_what_a_read_model_answers_below(
    bench: Bench,
) -> None:
    bench.tide.pass_by(500)
    query = """mutation { rename(name: "x") @freshness(maxStalenessMs: 100, onStale: FAIL) {
      ... on Renamed { customer { name orders { edges { cursor } } } } } }"""
    result = await bench.send(query)
    assert [error.path for error in result.errors or ()] == [["rename", "customer", "orders"]]


async def test_a_token_does_not_wait_for_what_the_command_answers(bench: Bench) -> None:
    context = bench.context(read_after=token(customers=9, orders=9))
    result = await bench.send(RENAME % "", context)
    assert result.errors is None
    assert context.calls == ["rename"]


async def test_a_command_that_failed_tells_of_no_read_model(bench: Bench) -> None:
    result = await bench.send(RENAME % "", bench.context(unavailable=True))
    assert result.errors is not None
    told: Any = (result.extensions or {})["freshness"]
    assert (told["fields"], told["readModels"]) == ([], {})
