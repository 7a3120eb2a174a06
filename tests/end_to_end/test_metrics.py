"""`/metrics` of an installation in one process: every metric that is written down is filled."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from slackwater.metrics import DESCRIPTIONS
from tests.end_to_end.harness import Running, until

SELDOM = {
    "slackwater_stale_reads_total",
    "slackwater_unbounded_reads_total",
    "slackwater_projector_poisonous_events_total",
    "slackwater_consumer_poisonous_events_total",
    "slackwater_relay_removed_events_total",
    "slackwater_slot_retained_bytes",
}
"""Filled only when something is not as fresh as demanded, nothing is proven or an event is parked,
and where a retention is set, or the log of a database is mined.
"""


def samples(installation: Running) -> dict[tuple[str, str, str], float]:
    """Return values by the sample's name, source and read model."""
    text = installation.store.get("/metrics").text
    return {
        (sample.name, sample.labels.get("source", ""), sample.labels.get("read_model", "")): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_metric_is_filled_and_counts_what_happens(tmp_path: Path) -> None:
    installation = Running(tmp_path / "data").wait_ready()
    try:
        token = installation.store.add_product("METERED")
        query = '{ product(sku: "METERED") { name } }'
        shown = installation.store.ask(query, after=[token])
        assert shown.data["product"] is not None
        found = until(
            lambda: samples(installation),
            lambda each: each["slackwater_lag_events", "inventory", "products"] == 0,
        )
    finally:
        installation.stop()
    assert found["slackwater_relay_events_total", "inventory", ""] == 1
    assert found["slackwater_relay_batches_total", "inventory", ""] == 1
    assert found["slackwater_relay_ticks_total", "inventory", ""] > 1
    assert found["slackwater_projector_batch_seconds_count", "", "products"] >= 1
    assert 0 <= found["slackwater_probe_age_seconds", "inventory", ""] < 60
    assert found["slackwater_projector_events_total", "", "products"] == 1
    assert found["slackwater_bound_served_seconds_count", "inventory", "products"] == 1
    names = {name.removesuffix("_count") for name, _, _ in found}
    declared = {about.name for about in DESCRIPTIONS}
    assert declared - names <= SELDOM
