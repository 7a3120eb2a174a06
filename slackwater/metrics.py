"""Every metric of every process, as `/metrics` serves it; each process fills those of its parts.

Labels are names of services, consumers, read models and words that stand here, so their number is
bounded. docs/reference/metrics.md is made of this.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import prometheus_client
from prometheus_client import Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily

_BOUNDS_S = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300, 3_600)
_WAITS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BATCHES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Description(msgspec.Struct, frozen=True):
    """What a metric is called, what kind it is, and what it tells."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


class Gauge(msgspec.Struct, frozen=True):
    """A number that is read off when somebody asks for it; see `slackwater.freshness.gauges`."""

    description: Description

    def family(self) -> GaugeMetricFamily:
        """Return an empty family to add the samples of one scrape to."""
        about = self.description
        return GaugeMetricFamily(about.name, about.text, labels=about.labels)


DESCRIPTIONS: list[Description] = []


def _counter(name: str, text: str, *labels: str) -> Counter:
    DESCRIPTIONS.append(Description(f"{name}_total", "counter", labels, text))
    return Counter(name, text, labels)


def _histogram(name: str, text: str, *labels: str, buckets: Sequence[float]) -> Histogram:
    DESCRIPTIONS.append(Description(name, "histogram", labels, text))
    return Histogram(name, text, labels, buckets=buckets)


def _set_gauge(name: str, text: str, *labels: str) -> prometheus_client.Gauge:
    DESCRIPTIONS.append(Description(name, "gauge", labels, text))
    return prometheus_client.Gauge(name, text, labels)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    DESCRIPTIONS.append(Description(name, "gauge", labels, text))
    return Gauge(DESCRIPTIONS[-1])


def _level(name: str, text: str, *labels: str) -> prometheus_client.Gauge:
    """Declare a number that is set when it is looked at, or tells itself when it is asked for."""
    DESCRIPTIONS.append(Description(name, "gauge", labels, text))
    return prometheus_client.Gauge(name, text, labels)


BOUND_SERVED = _histogram(
    "slackwater_bound_served_seconds",
    "Bounds of what was answered, once an answer for each read model and source that it reads.",
    "read_model",
    "source",
    buckets=_BOUNDS_S,
)
UNBOUNDED_READS = _counter(
    "slackwater_unbounded_reads",
    "Answers that read a read model and source of which nothing, or only a part, was proven.",
    "read_model",
    "source",
)
WAIT = _histogram(
    "slackwater_read_wait_seconds",
    "How long operations waited, by what for: token, or demand with WAIT.",
    "reason",
    buckets=_WAITS_S,
)
STALE_READS = _counter(
    "slackwater_stale_reads",
    "Operations with a demand that was not met, by what came of it: served, waited, failed, source "
    "or null; once an operation for each demand and outcome.",
    "outcome",
)
BOUND = _gauge(
    "slackwater_bound_seconds",
    "The bound now; left out while nothing is proven.",
    "read_model",
    "source",
)
REACHED_TICK_LAG = _gauge(
    "slackwater_reached_tick_lag",
    "How many ticks the source is ahead of what the read model has reached.",
    "read_model",
    "source",
)
LAG_EVENTS = _gauge(
    "slackwater_lag_events",
    "How many events that are known of are not applied.",
    "read_model",
    "source",
)
PROBE_AGE = _gauge(
    "slackwater_probe_age_seconds",
    "How long ago the newest question was sent that the source has answered.",
    "source",
)
WATERMARK_AGE = _gauge(
    "slackwater_watermark_age_seconds",
    "How long ago the source's newest watermark came.",
    "source",
)
RELAY_TICKS = _counter("slackwater_relay_ticks", "Ticks that were claimed.", "source")
RELAY_BATCHES = _counter("slackwater_relay_batches", "Batches published.", "source")
SLOT_RETAINED_BYTES = _set_gauge(
    "slackwater_slot_retained_bytes",
    "How much write-ahead log the source's replication slot keeps PostgreSQL from removing.",
    "source",
)
RELAY_EVENTS = _counter("slackwater_relay_events", "Events published.", "source")
RELAY_REMOVED = _counter(
    "slackwater_relay_removed_events",
    "Published events removed from their table, after the retention.",
    "source",
)
OUTBOX_WAITING = _level(
    "slackwater_outbox_waiting_events",
    "Events that wait for publishing, as the leading relay has last seen; no more than 100,000 are "
    "counted.",
    "source",
)
OUTBOX_OLDEST = _level(
    "slackwater_outbox_oldest_waiting_seconds",
    "Age of the first event that waited when the leading relay last looked; 0 where none did.",
    "source",
)
OUTBOX_ROWS = _level(
    "slackwater_outbox_rows_at_most",
    "Rows of the table of events, as positions from the first to the last: with those that were "
    "taken by a transaction and given up.",
    "source",
)
PROJECTOR_EVENTS = _counter(
    "slackwater_projector_events", "Events applied; duplicates are not counted.", "read_model"
)
PROJECTOR_POISON = _counter(
    "slackwater_projector_poisonous_events",
    "Events that could not be applied and were parked, without those that wait behind them.",
    "read_model",
    "error",
)
CONSUMER_POISON = _counter(
    "slackwater_consumer_poisonous_events",
    "Events that a service's consumer could not handle and parked, without those that wait behind "
    "them.",
    "consumer",
    "error",
)
PROJECTOR_BATCH = _histogram(
    "slackwater_projector_batch_seconds",
    "How long it takes to load, fold and store a batch; with search, to refresh, too.",
    "read_model",
    buckets=_BATCHES_S,
)
