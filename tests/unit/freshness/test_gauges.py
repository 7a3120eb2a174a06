"""The board's gauges: read off when they are asked for, as of then."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from slackwater.freshness.gauges import gauges_of
from tests.unit.gateway.freshness_bench import Tide

Labels = dict[str, str]


@pytest.fixture
def tide() -> Tide:
    return Tide()


def read(tide: Tide, name: str, **labels: str) -> float | None:
    registry = CollectorRegistry()
    with gauges_of(tide.board, tide.clock, registry):
        value = registry.get_sample_value(name, labels)
    assert list(registry.collect()) == []
    return value


def test_what_is_not_known_is_left_out(tide: Tide) -> None:
    assert read(tide, "slackwater_probe_age_seconds", source="orders") is None
    assert read(tide, "slackwater_watermark_age_seconds", source="orders") is None
    pair = {"read_model": "orders", "source": "orders"}
    assert read(tide, "slackwater_bound_seconds", **pair) is None
    assert read(tide, "slackwater_reached_tick_lag", **pair) is None
    assert read(tide, "slackwater_lag_events", **pair) is None


def test_ages_and_bounds_are_those_of_the_scrape(tide: Tide) -> None:
    tide.probe()
    tide.pass_by(100)
    tide.tick()
    tide.pass_by(50)
    assert read(tide, "slackwater_probe_age_seconds", source="orders") == pytest.approx(0.15)
    assert read(tide, "slackwater_watermark_age_seconds", source="orders") == pytest.approx(0.05)
    pair = {"read_model": "order_search", "source": "orders"}
    assert read(tide, "slackwater_bound_seconds", **pair) == pytest.approx(0.15)


def test_a_read_model_that_stands_still_falls_behind_in_ticks_and_events(tide: Tide) -> None:
    tide.settle()
    for _ in range(3):
        tide.publish("orders")
        tide.tick()
    tide.apply("order_search")
    behind = {"read_model": "orders", "source": "orders"}
    assert read(tide, "slackwater_reached_tick_lag", **behind) == 3
    assert read(tide, "slackwater_lag_events", **behind) == 3
    caught_up = {"read_model": "order_search", "source": "orders"}
    assert read(tide, "slackwater_reached_tick_lag", **caught_up) == 0
    assert read(tide, "slackwater_lag_events", **caught_up) == 0
