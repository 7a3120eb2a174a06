"""Bounds round up, and fit an Int or are none."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slackwater.freshness.bound import (
    INT_MAX,
    FreshnessStatus,
    Instant,
    Reach,
    elapsed_ms,
    worst,
)

WALL = datetime(2026, 1, 1, tzinfo=UTC)
NS = st.integers(0, 10**15)


@given(NS, NS)
def test_a_bound_is_never_below_the_time_that_has_passed(since_ns: int, passed_ns: int) -> None:
    bound_ms = elapsed_ms(since_ns / 1e9, (since_ns + passed_ns) / 1e9)
    noise_ns = 2 * Fraction((since_ns + passed_ns) / 1e9) * 10**9 / 2**52
    assert bound_ms * 10**6 >= passed_ns - noise_ns
    assert bound_ms * 10**6 < passed_ns + 10**6 + noise_ns


@pytest.mark.parametrize(
    ("passed_s", "bound_ms"), [(0.0, 0), (0.000001, 1), (0.084, 84), (0.0840001, 85), (0.1, 100)]
)
def test_a_bound_rounds_up(passed_s: float, bound_ms: int) -> None:
    assert elapsed_ms(1_000.0, 1_000.0 + passed_s) == bound_ms


@pytest.mark.parametrize(("bound_ms", "said"), [(INT_MAX, INT_MAX), (INT_MAX + 1, None)])
def test_what_fits_no_int_is_none(bound_ms: int, said: int | None) -> None:
    reach = Reach(source="s", proven=Instant(0.0, WALL), reached=None, lag_events=None)
    assert reach.staleness_ms(bound_ms / 1000) == said


def test_the_most_severe_status_stands_for_all() -> None:
    order = ["LIVE", "LAGGING", "REBUILDING", "STALLED", "UNKNOWN"]
    statuses = [FreshnessStatus(name) for name in order]
    assert [worst(statuses[: at + 1]) for at in range(5)] == statuses
    assert worst([]) is FreshnessStatus.LIVE
