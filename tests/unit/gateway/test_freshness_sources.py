"""Fields that go to their source are held to no read model: not to its bound, nor to a token."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.gateway.freshness_bench import Bench, token

SOURCE = "@freshness(maxStalenessMs: 100, onStale: SOURCE)"


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_token_is_not_waited_for_where_the_source_is_asked(bench: Bench) -> None:
    bench.tide.pass_by(500)
    context = bench.context(read_after=token(orders=9))
    fields = await bench.fields(f"{{ order {SOURCE} {{ status }} }}", context)
    assert fields["order",]["servedFrom"] == "SOURCE"


async def test_a_fresh_read_model_that_misses_the_write_is_not_waited_for_either(
    bench: Bench,
) -> None:
    context = bench.context(read_after=token(orders=9))
    fields = await bench.fields(f"{{ order {SOURCE} {{ status }} }}", context)
    assert fields["order",]["servedFrom"] == "SOURCE"


async def test_a_fresh_read_model_that_reflects_the_write_answers(bench: Bench) -> None:
    context = bench.context(read_after=token(orders=1))
    fields = await bench.fields(f"{{ order {SOURCE} {{ status }} }}", context)
    assert fields["order",]["servedFrom"] == "READ_MODEL"


async def test_a_token_is_waited_for_by_the_fields_beside_it(bench: Bench) -> None:
    context = bench.context(read_after=token(orders=2))
    query = f"{{ order {SOURCE} {{ status }} customer {{ orderCount }} }}"
    task = asyncio.create_task(bench.send(query, context))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()
    bench.tide.tick("orders")
    assert (await task).errors is None


async def test_a_demand_inside_is_met_by_the_source_too(bench: Bench) -> None:
    bench.tide.pass_by(500)
    query = f"""{{ customer {SOURCE} {{ name
      lastOrder @freshness(maxStalenessMs: 100, onStale: FAIL) }} }}"""
    assert (await bench.send(query)).errors is None


AT, BY = "($at: String)", '($by: String = "then")'
PAST: list[tuple[str, str, dict[str, Any], bool]] = [
    ("", 'order(asOf: "then")', {}, True),
    (AT, "order(asOf: $at)", {"at": "then"}, True),
    (BY, "order(asOf: $by)", {}, True),
    (BY, "order(asOf: $by)", {"by": None}, False),
    (AT, "order(asOf: $at)", {}, False),
    ("", "order(asOf: null)", {}, False),
    ("", "order", {}, False),
]


@pytest.mark.parametrize(("variables", "field", "given", "from_source"), PAST)
async def test_an_argument_that_sends_a_field_to_its_source_frees_it_from_read_models(
    bench: Bench, variables: str, field: str, given: dict[str, Any], *, from_source: bool
) -> None:
    bench.tide.pass_by(500)
    query = f"""query {variables} {{
      {field} @freshness(maxStalenessMs: 100, onStale: FAIL) {{ status }} }}"""
    result = await bench.send(query, **given)
    assert (result.errors is None) is from_source


async def test_the_past_waits_for_no_token(bench: Bench) -> None:
    context = bench.context(read_after=token(orders=9))
    fields = await bench.fields('{ order(asOf: "then") { status note } }', context)
    assert fields["order",]["servedFrom"] == "SOURCE"


def other_is_staler(bench: Bench) -> None:
    """Let the read model of all orders fall behind that of customers."""
    bench.tide.publish("orders")
    bench.tide.tick("orders")
    bench.tide.apply("customer_orders")
    bench.tide.pass_by(150)
    bench.tide.probe()
    bench.tide.tick()
    bench.tide.apply("customer_orders")


PAGE = f"{{ customer {{ orders {SOURCE} {{ edges {{ cursor }} }} }} }}"


async def test_a_page_that_another_read_model_would_answer_comes_from_the_source(
    bench: Bench,
) -> None:
    other_is_staler(bench)
    fields = await bench.fields(PAGE, bench.context(pages_elsewhere=("c1",)))
    assert fields["customer", "orders"]["servedFrom"] == "SOURCE"


async def test_a_page_that_another_read_model_may_answer_comes_from_there(bench: Bench) -> None:
    fields = await bench.fields(PAGE, bench.context(pages_elsewhere=("c1",)))
    assert fields["customer", "orders"]["readModel"] == "orders"


async def test_a_page_elsewhere_that_misses_the_write_comes_from_the_source(bench: Bench) -> None:
    other_is_staler(bench)
    context = bench.context(pages_elsewhere=("c1",), read_after=token(orders=2))
    query = PAGE.replace("100", "100000")
    fields = await bench.fields(query, context)
    assert fields["customer", "orders"]["servedFrom"] == "SOURCE"


async def test_the_freshness_of_a_page_is_the_worst_of_what_may_answer_it(bench: Bench) -> None:
    other_is_staler(bench)
    query = """{ customer { orders { edges { cursor } }
      freshness(field: "orders") { readModel maxStalenessMs }
      all: freshness { maxStalenessMs }
      count: freshness(field: "orderCount") { maxStalenessMs } } }"""
    data: Any = (await bench.send(query, bench.context(pages_elsewhere=("c1",)))).data
    told = data["customer"]
    assert told["freshness"] == {"readModel": "customer_orders", "maxStalenessMs": 150}
    assert told["all"] == {"maxStalenessMs": 150}
    assert told["count"] == {"maxStalenessMs": 0}


async def test_an_object_from_the_source_is_told_of_as_such_with_the_worst_bound(
    bench: Bench,
) -> None:
    bench.tide.pass_by(500)
    query = (
        f"{{ customer {SOURCE} {{ name freshness {{ servedFrom readModel maxStalenessMs }} }} }}"
    )
    data: Any = (await bench.send(query)).data
    assert data["customer"]["freshness"] == {
        "servedFrom": "SOURCE",
        "readModel": None,
        "maxStalenessMs": 500,
    }
