"""When readings are pinned: before data is read, and never later than that."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.freshness.operation import OperationFreshness
from gateway.freshness.served import RequestFreshness, ServedFrom
from tests.unit.gateway.freshness_bench import SCHEMA, Bench, Context, customer_of
from tests.unit.gateway.test_freshness_plan import plan_of

SUBSCRIPTION = "subscription { customerChanged { name orderCount } }"


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_is_what_resolvers_expect(bench: Bench) -> None:
    freshness: RequestFreshness = bench.context().freshness
    assert isinstance(freshness, OperationFreshness)


async def test_a_reading_says_the_same_throughout_a_query(bench: Bench) -> None:
    freshness = bench.context().freshness
    await freshness.begin(plan_of("{ version }"), (), bench.context().read_after)
    first = freshness.reading("orders")
    bench.tide.pass_by(100)
    bench.tide.settle()
    assert freshness.reading("orders") is first
    assert freshness.reading("customer_orders").reaches["orders"] == first.reaches["orders"]


async def test_a_mutation_pins_nothing_before_its_command(bench: Bench) -> None:
    freshness = bench.context().freshness
    mutation = plan_of('mutation { rename(name: "x") { __typename } }')
    await freshness.begin(mutation, (), bench.context().read_after)
    bench.tide.pass_by(100)
    bench.tide.settle()
    reading = freshness.reading("orders")
    assert reading.staleness_ms(("orders",), freshness.now_s()) == 0


async def test_a_reading_that_was_not_pinned_before_the_data_proves_nothing(bench: Bench) -> None:
    context = bench.context()
    info: Any = type("Info", (), {"path": None})
    await context.freshness.begin(
        plan_of('mutation { rename(name: "x") { __typename } }'), (), context.read_after
    )
    context.freshness.served(
        info, read_model="orders", sources=("orders",), served_from=ServedFrom.READ_MODEL
    )
    (serving,) = context.freshness.records.by_path.values()
    assert serving.reading is None


async def events(bench: Bench, context: Context) -> Any:
    return await SCHEMA.subscribe(SUBSCRIPTION, context_value=context)


async def test_each_event_has_a_reading_of_its_own(bench: Bench) -> None:
    stream = await events(bench, bench.context())
    bench.tide.pass_by(300)
    first = await anext(stream)
    bench.tide.settle()
    bench.tide.pass_by(7)
    second = await anext(stream)
    await stream.aclose()
    bounds = [
        [entry["maxStalenessMs"] for entry in event.extensions["freshness"]["fields"]]
        for event in (first, second)
    ]
    assert bounds == [[300, 300], [7, 7]]


async def test_what_is_proven_after_an_event_was_read_does_not_count(bench: Bench) -> None:
    def slowly() -> None:
        bench.tide.pass_by(300)
        bench.tide.settle()

    stream = await events(bench, bench.context(meanwhile=slowly))
    for _ in range(3):
        event = await anext(stream)
        (customer, _) = event.extensions["freshness"]["fields"]
        assert customer["maxStalenessMs"] == 300
    await stream.aclose()


async def test_what_an_event_shows_besides_is_as_fresh_as_when_it_came(bench: Bench) -> None:
    freshness = bench.context().freshness
    await freshness.begin(plan_of(SUBSCRIPTION), (), bench.context().read_after)
    freshness.reading("customer_orders")
    bench.tide.pass_by(300)
    bench.tide.settle()
    freshness.begin_event()
    bounds = [
        freshness.reading(name).staleness_ms(("orders",), freshness.now_s())
        for name in ("customer_orders", "orders")
    ]
    assert bounds == [300, 0]


async def test_a_page_from_another_read_model_is_waited_for_at_each_event(bench: Bench) -> None:
    query = """subscription { customerChanged {
      orders @freshness(maxStalenessMs: 100, onStale: WAIT) { edges { cursor } } } }"""
    context = bench.context(pages_elsewhere=("c1",))
    stream = await SCHEMA.subscribe(query, context_value=context)
    first: Any = await anext(stream)
    assert first.errors is None
    bench.tide.publish("orders")
    bench.tide.pass_by(500)
    bench.tide.probe()
    bench.tide.tick()
    bench.tide.apply("customer_orders")
    task = asyncio.ensure_future(anext(stream))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not task.done()
    bench.tide.settle()
    second: Any = await task
    assert second.errors is None
    await stream.aclose()


async def test_demands_are_judged_at_each_event(bench: Bench) -> None:
    query = """subscription { customerChanged {
      name lastOrder @freshness(maxStalenessMs: 100, onStale: NULL) } }"""
    stream = await SCHEMA.subscribe(query, context_value=bench.context())
    shown = []
    for ms in (0, 300, 0):
        bench.tide.pass_by(ms)
        event: Any = await anext(stream)
        assert event.errors is None
        shown.append(event.data["customerChanged"]["lastOrder"])
        bench.tide.settle()
    await stream.aclose()
    assert shown == ["o1", None, "o1"]


async def test_other_contexts_are_left_alone() -> None:
    result = await SCHEMA.execute("{ version }", context_value=None)
    assert (result.data, result.errors, result.extensions) == ({"version": "1"}, None, {})


async def test_invalid_variables_are_reported_by_execution_itself(bench: Bench) -> None:
    query = "query ($n: Int!) { customer @freshness(maxStalenessMs: $n) { name } }"
    result = await bench.send(query, n="many")
    assert result.errors is not None
    assert "Int cannot represent" in result.errors[0].message


async def test_a_cached_value_is_as_old_as_its_loading(bench: Bench) -> None:
    loaded = bench.tide.board.reading("customer_orders")
    bench.tide.pass_by(400)
    bench.tide.settle()
    context = bench.context()

    async def from_cache(info: Any, id_: str) -> Any:
        context.freshness.served(
            info,
            read_model="customer_orders",
            sources=("customers",),
            served_from=ServedFrom.CACHE,
            reading=loaded,
        )
        return customer_of(id_)

    context.customer = from_cache  # type: ignore[method-assign]
    told = await bench.told("{ customer { name orderCount } }", context)
    assert {tuple(entry["path"]): entry["maxStalenessMs"] for entry in told["fields"]} == {
        ("customer",): 400,
        ("customer", "orderCount"): 400,
    }
    assert told["readModels"]["customer_orders"]["maxStalenessMs"] == 400
