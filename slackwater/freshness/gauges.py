"""What a freshness board knows, read off whenever `/metrics` is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from slackwater import metrics
from slackwater.clock import Clock
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import Reach


@contextmanager
def gauges_of(
    board: FreshnessBoard, clock: Clock, registry: CollectorRegistry = REGISTRY
) -> Iterator[None]:
    """Serve the board's gauges while the context lasts."""
    gauges = _BoardGauges(board, clock)
    registry.register(gauges)
    try:
        yield
    finally:
        registry.unregister(gauges)


class _BoardGauges(Collector):
    def __init__(self, board: FreshnessBoard, clock: Clock) -> None:
        self._board = board
        self._clock = clock

    def describe(self) -> Iterable[Metric]:
        """Name no metrics: the registry would else ask for them when this is registered."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Return what is known now."""
        yield from self._of_sources()
        yield from self._of_read_models()

    def _of_sources(self) -> Iterable[Metric]:
        probe, watermark = metrics.PROBE_AGE.family(), metrics.WATERMARK_AGE.family()
        now_s = self._clock.monotonic()
        for source in self._board.sources:
            newest, received_s = (
                self._board.newest_probe(source),
                self._board.newest_watermark_s(source),
            )
            if newest is not None:
                probe.add_metric((source,), now_s - newest.monotonic_s)
            if received_s is not None:
                watermark.add_metric((source,), now_s - received_s)
        return probe, watermark

    def _of_read_models(self) -> Iterable[Metric]:
        bound, ticks = metrics.BOUND.family(), metrics.REACHED_TICK_LAG.family()
        events = metrics.LAG_EVENTS.family()
        now_s = self._clock.monotonic()
        for name, reading in self._board.snapshot().items():
            for source, reach in reading.reaches.items():
                if reach.proven is not None:
                    bound.add_metric((name, source), now_s - reach.proven.monotonic_s)
                if (behind := self._ticks_behind(source, reach)) is not None:
                    ticks.add_metric((name, source), behind)
                if reach.lag_events is not None:
                    events.add_metric((name, source), reach.lag_events)
        return bound, ticks, events

    def _ticks_behind(self, source: str, reach: Reach) -> int | None:
        """Count ticks; they go on through all epochs."""
        newest = self._board.newest_tick(source)
        return newest.n - reach.reached.n if newest is not None and reach.reached else None
