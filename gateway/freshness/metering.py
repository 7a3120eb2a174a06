"""Meters what operations are told of staleness, and what becomes of demands that are not met."""

from __future__ import annotations

from gateway.freshness.operation import OperationFreshness
from slackwater import metrics


def meter_bounds(freshness: OperationFreshness) -> None:
    """Record the bound of each read model and source that an answer reads, once.

    Of what was told without a bound anywhere in the answer, that is what counts.
    """
    now_s = freshness.now_s()
    incomplete = {
        (serving.read_model, source)
        for serving in freshness.records.by_path.values()
        if not serving.complete
        for source in serving.sources
    }
    for read_model, source in freshness.required.pairs():
        reach = freshness.reach(read_model, source)
        proven = reach.proven if reach is not None else None
        if proven is None or (read_model, source) in incomplete:
            metrics.UNBOUNDED_READS.labels(read_model, source).inc()
        else:
            bound_s = max(0.0, now_s - proven.monotonic_s)
            metrics.BOUND_SERVED.labels(read_model, source).observe(bound_s)
