"""Meters what operations are told of staleness, and what becomes of demands that are not met."""

from __future__ import annotations

from gateway.freshness.operation import OperationFreshness
from slackwater import metrics


def meter_bounds(freshness: OperationFreshness) -> None:
    """Record the bound of each read model and source that an answer reads, once."""
    now_s = freshness.now_s()
    for read_model, source in freshness.required.pairs():
        reach = freshness.reach(read_model, source)
        proven = reach.proven if reach is not None else None
        if proven is None:
            metrics.UNBOUNDED_READS.labels(read_model, source).inc()
        else:
            bound_s = max(0.0, now_s - proven.monotonic_s)
            metrics.BOUND_SERVED.labels(read_model, source).observe(bound_s)
