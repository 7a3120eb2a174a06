"""The law of this package: no read is ever staler than its bound, however things interleave.

The same law must catch every way of building it wrongly; else it would prove nothing.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slackwater.freshness import source_track
from slackwater.freshness.bound import Instant
from slackwater.freshness.source_track import SourceTrack
from slackwater.watermarks.tick import Tick
from tests.unit.freshness.tide_model import STEPS, TideModel, Weakness

NAMES = sorted(STEPS)
RARE = ("take over", "restart gateway", "late publish", "late emit")
OFTEN = ("time", "read", "look up 0", "look up 1", "cycle", "catch up", "deliver", "follow")


def violated(steps: Sequence[str], weakness: Weakness | None = None) -> str | None:
    """Take the steps and look after each whether a read is staler than its bound."""
    model = TideModel(weakness)
    for name in steps:
        model.step(name)
        found = model.violation()
        if found is not None:
            return found
    return None


def histories(seed: int, count: int) -> Iterator[list[str]]:
    """Return random histories in which time passes and somebody reads often enough."""
    chance = random.Random(seed)
    weights = [1 if name in RARE else 8 if name in OFTEN else 4 for name in NAMES]
    for _ in range(count):
        yield chance.choices(NAMES, weights, k=chance.randint(5, 60))


@settings(max_examples=500)
@given(st.lists(st.sampled_from(NAMES), max_size=80))
def test_no_read_is_staler_than_its_bound(steps: list[str]) -> None:
    assert violated(steps) is None


def test_no_read_is_staler_than_its_bound_in_many_random_histories() -> None:
    assert [steps for steps in histories(1, 5_000) if violated(steps)] == []


@pytest.mark.parametrize("weakness", list(Weakness))
def test_the_law_catches_what_is_built_wrongly(weakness: Weakness) -> None:
    assert any(violated(steps, weakness) for steps in histories(2, 10_000)), weakness


def test_the_law_catches_that_an_equal_tick_is_taken_for_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def proven(track: SourceTrack, reached: Tick) -> Instant | None:
        at = bisect_right(track._probed_ticks, reached)
        return track._probed_at[at - 1] if at else None

    monkeypatch.setattr(SourceTrack, "proven", proven)
    assert any(violated(steps) for steps in histories(3, 10_000))


@pytest.mark.parametrize("kept_max", [2, 3, 5])
def test_thinned_histories_keep_the_law(kept_max: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_track, "_KEPT_MAX", kept_max)
    assert [steps for steps in histories(4, 2_000) if violated(steps)] == []


def test_a_history_without_trouble_has_a_tight_bound() -> None:
    model = TideModel()
    for name in ("commit 0", "probe", "cycle", "deliver", "apply 0", "follow", "time", "read"):
        model.step(name)
    (read,) = model.reads
    assert read.reading.staleness_ms(("source",), model.clock.monotonic()) == 7


def test_a_key_does_not_wait_for_the_partition_of_another() -> None:
    model = TideModel()
    before = ("commit 0", "commit 1", "probe", "cycle", "deliver", "time", "apply 0", "follow")
    for name in (*before, "read", "look up 0", "look up 1"):
        model.step(name)
    now_s = model.clock.monotonic()
    bounds_ms = [read.reading.staleness_ms(("source",), now_s) for read in model.reads]
    assert bounds_ms == [None, 7, None]
