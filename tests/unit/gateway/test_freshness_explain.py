"""`explain`: the stage that is named is the one that a bound waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.gateway.freshness_bench import Bench, Tide

SEARCH = "{ search { edges { __typename } } }"


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def limit(bench: Bench, query: str = SEARCH) -> Any:
    """Return what limits the first entry of an answer; it is the same wherever it is told."""
    told = await bench.told(query, bench.context("FULL; explain"))
    (read_model,) = told["readModels"].values()
    (entry,) = told["fields"]
    assert entry["limitedBy"] == read_model["limitedBy"]
    assert entry["limitedBy"] in {source["limitedBy"] for source in read_model["sources"]}
    return entry["limitedBy"]


def beat(tide: Tide, without: str | None = None) -> None:
    """Let 100 ms pass, in which inventory gets an event and all stages but one do their work."""
    tide.pass_by(100)
    if without != "probe":
        tide.probe()
    if without == "relay":
        tide.pending["inventory"] += 1
        tide.tick("customers", "orders")
    elif without == "watermarks":
        tide.raise_tick("inventory")
        tide.tick("customers", "orders")
    else:
        tide.publish("inventory")
        tide.tick()
    if without != "projector":
        (tide.write if without == "refresh" else tide.apply)("order_search")


@pytest.mark.parametrize(
    ("without", "named"),
    [
        ("relay", "OUTBOX"),
        ("watermarks", "LOG"),
        ("projector", "PROJECTOR"),
        ("refresh", "REFRESH"),
        ("probe", "PROBE"),
        (None, "PROBE"),
    ],
)
async def test_the_stage_that_stands_still_is_named(
    bench: Bench, without: str | None, named: str
) -> None:
    for _ in range(10):
        beat(bench.tide, without)
    assert await limit(bench) == named


async def test_a_halted_read_model_is_limited_by_its_hole(bench: Bench) -> None:
    bench.tide.halt("order_search")
    beat(bench.tide, "projector")
    assert await limit(bench) == "HOLE"


async def test_a_system_at_rest_is_limited_by_its_probes(bench: Bench) -> None:
    for _ in range(10):
        bench.tide.pass_by(60)
        bench.tide.tick()
        bench.tide.pass_by(40)
        bench.tide.probe()
    bench.tide.pass_by(30)
    assert await limit(bench) == "PROBE"


async def test_a_relay_that_dies_with_nothing_to_publish_is_the_outbox(bench: Bench) -> None:
    for _ in range(10):
        bench.tide.pass_by(100)
        bench.tide.probe()
    assert await limit(bench) == "OUTBOX"


@pytest.mark.parametrize(("pending", "named"), [(3, "OUTBOX"), (0, "LOG")])
async def test_a_relay_that_begins_again_and_again_is_told_by_what_waits_for_it(
    bench: Bench, pending: int, named: str
) -> None:
    bench.tide.pending["inventory"] = pending
    for epoch in range(2, 8):
        bench.tide.pass_by(100)
        bench.tide.tick("customers", "orders")
        bench.tide.raise_tick("inventory", epoch=epoch)
        bench.tide.probe()
    assert await limit(bench) == named


async def test_what_is_written_proves_nothing_before_it_is_shown(bench: Bench) -> None:
    for _ in range(5):
        beat(bench.tide, "refresh")
    entries = await bench.fields(SEARCH)
    assert entries["search",]["maxStalenessMs"] == 500


async def test_a_projector_behind_a_written_batch_is_named_for_the_longer_wait(
    bench: Bench,
) -> None:
    beat(bench.tide, "refresh")
    for _ in range(5):
        beat(bench.tide, "projector")
    assert await limit(bench) == "PROJECTOR"


async def test_a_source_that_dies_behind_a_standing_projector_leaves_the_projector_named(
    bench: Bench,
) -> None:
    for _ in range(20):
        beat(bench.tide, "projector")
    for _ in range(3):
        bench.tide.pass_by(100)
    assert await limit(bench) == "PROJECTOR"


async def test_time_that_passes_without_news_is_the_probe_s(bench: Bench) -> None:
    """Nothing changes on the board: what limits a bound is told as of now."""
    for _ in range(5):
        beat(bench.tide, "projector")
    assert await limit(bench) == "PROJECTOR"
    bench.tide.pass_by(2_000)
    assert await limit(bench) == "PROBE"


@pytest.mark.parametrize(
    ("prepare", "named"),
    [
        (lambda _: None, "PROBE"),
        (Tide.probe, "LOG"),
        (lambda tide: (tide.probe(), tide.publish("inventory"), tide.tick()), "PROJECTOR"),
    ],
)
async def test_before_anything_is_proven_the_first_stage_that_is_missing_is_named(
    prepare: Callable[[Tide], object], named: str
) -> None:
    bench = Bench()
    bench.tide = Tide()
    prepare(bench.tide)
    assert await limit(bench) == named
