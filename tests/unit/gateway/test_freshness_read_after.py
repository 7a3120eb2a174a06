"""Reading one's writes: the answer reflects the token's writes, or says that it does not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from slackwater.freshness.token import TokenSigner
from slackwater.watermarks.tick import Tick
from tests.unit.gateway.freshness_bench import SIGNER, Bench, Context, token

READ = "query ($tokens: [String!]) @readAfter(tokens: $tokens) { customer { name } version }"


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def waiting(bench: Bench, query: str, context: Context | None = None, **given: Any) -> Any:
    task = asyncio.create_task(bench.send(query, context, **given))
    for _ in range(20):
        await asyncio.sleep(0)
    return task


def code(result: Any) -> Any:
    assert result.data is None
    return result.errors[0].extensions["code"]


async def test_a_later_tick_is_enough(bench: Bench) -> None:
    result = await bench.send(READ, tokens=[SIGNER.encode(token(customers=1))])
    assert result.errors is None


async def test_an_equal_tick_is_not_enough(bench: Bench) -> None:
    task = await waiting(bench, READ, tokens=[SIGNER.encode(token(customers=2))])
    assert not task.done()
    bench.tide.tick("customers")
    assert (await task).errors is None


async def test_no_data_is_read_while_waiting(bench: Bench) -> None:
    context = bench.context()
    task = await waiting(bench, READ, context, tokens=[SIGNER.encode(token(customers=2))])
    assert context.calls == []
    bench.tide.tick("customers")
    await task
    assert context.calls == ["customer"]


async def test_a_tick_whose_events_are_not_applied_is_not_enough(bench: Bench) -> None:
    bench.tide.publish("customers")
    task = await waiting(bench, READ, tokens=[SIGNER.encode(token(customers=2))])
    bench.tide.tick("customers")
    await asyncio.sleep(0)
    assert not task.done()
    bench.tide.apply("customer_orders")
    assert (await task).errors is None


async def test_sources_that_are_not_read_are_not_waited_for(bench: Bench) -> None:
    tokens = [SIGNER.encode(token(orders=99, inventory=99))]
    assert (await bench.send(READ, tokens=tokens)).errors is None


async def test_the_header_counts_like_the_directive(bench: Bench) -> None:
    context = bench.context(read_after=token(customers=2))
    task = await waiting(bench, "{ customer { name } }", context)
    assert not task.done()
    bench.tide.tick("customers")
    assert (await task).errors is None


async def test_tokens_are_merged_and_handed_on(bench: Bench) -> None:
    context = bench.context(read_after=token(customers=1))
    tokens = [SIGNER.encode(token(orders=1)), SIGNER.encode(token(orders=0, inventory=1))]
    await bench.send(READ, context, tokens=tokens)
    assert context.read_after == token(customers=1, orders=1, inventory=1)


async def test_a_variable_may_be_one_token_of_a_list(bench: Bench) -> None:
    query = "query ($token: String!) @readAfter(tokens: [$token]) { customer { name } version }"
    context = bench.context()
    result = await bench.send(query, context, token=SIGNER.encode(token(customers=1)))
    assert result.errors is None
    assert context.read_after == token(customers=1)


@pytest.mark.parametrize("tokens", [None, []])
async def test_null_and_no_tokens_demand_nothing(bench: Bench, tokens: Any) -> None:
    assert (await bench.send(READ, tokens=tokens)).errors is None


async def test_the_time_is_up_after_a_second(bench: Bench) -> None:
    task = await waiting(bench, READ, tokens=[SIGNER.encode(token(customers=2))])
    bench.tide.pass_by(999)
    bench.tide.apply()
    await asyncio.sleep(0)
    assert not task.done()
    bench.tide.pass_by(2)
    bench.tide.apply()
    result = await task
    assert code(result) == "STALE_READ"
    assert result.errors[0].extensions["readAfter"] == [
        {"readModel": "customer_orders", "source": "customers", "asked": "1.2", "reached": "1.2"}
    ]


async def test_the_operations_own_timeout_counts_for_tokens_too(bench: Bench) -> None:
    query = """query ($tokens: [String!]) @readAfter(tokens: $tokens)
      @freshness(maxStalenessMs: 1000, timeoutMs: 50) { customer { name } }"""
    task = await waiting(bench, query, tokens=[SIGNER.encode(token(customers=2))])
    bench.tide.pass_by(51)
    bench.tide.apply()
    assert code(await task) == "STALE_READ"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "€",
        "A" * 3_000,
        TokenSigner(b"the secret of somebody else").encode(token(customers=1)),
        SIGNER.encode(token(customers=1))[:-2],
    ],
)
async def test_what_is_no_token_of_ours_is_refused(bench: Bench, text: str) -> None:
    result = await bench.send(READ, tokens=[text])
    assert code(result) == "INVALID_CONSISTENCY_TOKEN"
    assert "use it exactly as a mutation returned it" in result.errors[0].message


async def test_a_heap_of_tokens_is_refused(bench: Bench) -> None:
    tokens = [SIGNER.encode(token(customers=1))] * 17
    assert code(await bench.send(READ, tokens=tokens)) == "INVALID_CONSISTENCY_TOKEN"


async def test_a_tick_that_the_source_has_not_made_is_refused(bench: Bench) -> None:
    task = await waiting(bench, READ, tokens=[SIGNER.encode(token(customers=50))])
    assert not task.done()  # it may be newer than what the gateway has heard
    bench.tide.pass_by(10)
    bench.tide.probe("customers")
    assert code(await task) == "INVALID_CONSISTENCY_TOKEN"


async def test_a_write_of_before_its_source_was_restored_is_refused_with_the_reason(
    bench: Bench,
) -> None:
    bench.tide.ticks["customers"] = Tick(2, 50, "restored")
    bench.tide.tick("customers")
    task = await waiting(bench, READ, tokens=[SIGNER.encode(token(customers=1))])
    bench.tide.pass_by(1)
    bench.tide.probe("customers")
    result = await task
    assert code(result) == "INVALID_CONSISTENCY_TOKEN"
    assert "customers was restored" in result.errors[0].message


async def test_a_tick_that_nobody_can_judge_is_late_and_not_forged(bench: Bench) -> None:
    task = await waiting(bench, READ, tokens=[SIGNER.encode(token(customers=50))])
    bench.tide.pass_by(1_001)
    bench.tide.apply()
    assert code(await task) == "STALE_READ"


async def test_a_tick_newer_than_what_was_heard_is_waited_for(bench: Bench) -> None:
    bench.tide.ticks["customers"] = Tick(1, 7)
    task = await waiting(bench, READ, tokens=[SIGNER.encode(token(customers=7))])
    bench.tide.probe("customers")
    bench.tide.tick("customers")
    assert (await task).errors is None


async def test_a_mutation_waits_before_its_command(bench: Bench) -> None:
    mutation = """mutation ($tokens: [String!]) @readAfter(tokens: $tokens) {
      rename(name: "x") { ... on Renamed { customer { orderCount orders { edges { cursor } } } } }
    }"""
    context = bench.context()
    task = await waiting(bench, mutation, context, tokens=[SIGNER.encode(token(orders=2))])
    assert context.calls == []
    bench.tide.tick("orders")
    assert (await task).errors is None
    assert context.calls == ["rename"]


async def test_a_page_from_another_read_model_reflects_the_writes_too(bench: Bench) -> None:
    bench.tide.publish("orders")
    bench.tide.tick("orders")
    bench.tide.apply("customer_orders")
    context = bench.context(pages_elsewhere=("c1",), read_after=token(orders=2))
    task = await waiting(bench, "{ customer { orders { edges { cursor } } } }", context)
    assert not task.done()
    bench.tide.apply("orders")
    assert (await task).errors is None


async def test_a_part_of_an_answer_does_not_reflect_the_writes(bench: Bench) -> None:
    context = bench.context(complete=False, read_after=token(orders=1))
    result = await bench.send("{ search { edges { __typename } } }", context)
    assert code(result) == "STALE_READ"
