"""Bounds: what is known of one read model and one source, and how it ages by itself."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from slackwater.freshness.limit import FreshnessLimit, Stages
from slackwater.read_models.dead_letters import Hole
from slackwater.watermarks.tick import Tick

INT_MAX = 2**31 - 1


class FreshnessStatus(StrEnum):
    """What a bound means for the reader."""

    LIVE = "LIVE"
    LAGGING = "LAGGING"
    STALLED = "STALLED"
    REBUILDING = "REBUILDING"
    UNKNOWN = "UNKNOWN"


_SEVERITY = {
    FreshnessStatus.LIVE: 0,
    FreshnessStatus.LAGGING: 1,
    FreshnessStatus.REBUILDING: 2,
    FreshnessStatus.STALLED: 3,
    FreshnessStatus.UNKNOWN: 4,
}


class Instant(msgspec.Struct, frozen=True):
    """A moment on the process's own clock that only grows, with the wall clock for display."""

    monotonic_s: float
    wall: datetime


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How far one read model reflects one source.

    Everything of the source that was visible at `proven` is reflected; without it nothing is known.
    `reached` is the newest tick before which everything is reflected. One that `has_parted` holds a
    history that its source has left: nothing will be known until the read model is rebuilt.
    `hole` is one of as many `holes`: what is parked of the source. They count in all of this, but
    for `proven_except_holes`, which is proven of everything that is not parked.
    """

    source: str
    proven: Instant | None
    reached: Tick | None
    lag_events: int | None
    stages: Stages | None = None
    has_parted: bool = False
    holes: int = 0
    hole: Hole | None = None
    proven_except_holes: Instant | None = None

    @property
    def proven_elsewhere(self) -> Instant | None:
        """The newest instant that is proven of what is in no hole."""
        return self.proven_except_holes if self.holes else self.proven

    def limited_by(self, now_s: float) -> FreshnessLimit | None:
        """Name the stage that keeps the bound from being smaller; None where nothing is known."""
        proven_s = self.proven.monotonic_s if self.proven is not None else None
        return self.stages.limit(proven_s, now_s) if self.stages is not None else None

    def staleness_ms(self, now_s: float, *, except_holes: bool = False) -> int | None:
        """Return the bound at `now_s`, rounded up; None where none is known or it fits no Int."""
        proven = self.proven_elsewhere if except_holes else self.proven
        if proven is None:
            return None
        bound_ms = elapsed_ms(proven.monotonic_s, now_s)
        return bound_ms if bound_ms <= INT_MAX else None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A read model's freshness, taken before its data is read.

    The data may be newer than this says, never older. One `of_document` tells of a single document
    of which something is parked. A search must show `stamp`, where there is one.
    """

    read_model: str
    version: int
    reaches: dict[str, Reach]
    halt_reason: str | None
    rebuilding: bool
    of_document: bool = False
    stamp: str | None = None

    def of(self, sources: tuple[str, ...]) -> tuple[Reach, ...]:
        """Return what is known of the given sources: of one that feeds it not, nothing."""
        return tuple(self.reaches.get(source) or _unknown(source) for source in sources)

    def holes(self, sources: tuple[str, ...]) -> int:
        """Return how many keys of the sources are parked."""
        return sum(reach.holes for reach in self.of(sources))

    def hole(self, sources: tuple[str, ...]) -> Hole | None:
        """Return one of the holes, if there are any."""
        return next((reach.hole for reach in self.of(sources) if reach.hole is not None), None)

    def staleness_ms(
        self, sources: tuple[str, ...], now_s: float, *, except_holes: bool = False
    ) -> int | None:
        """Return the worst bound over the sources; None when one of them has none."""
        bounds = [
            reach.staleness_ms(now_s, except_holes=except_holes) for reach in self.of(sources)
        ]
        known = [bound for bound in bounds if bound is not None]
        return max(known) if known and len(known) == len(bounds) else None

    def proven(self, sources: tuple[str, ...]) -> Instant | None:
        """Return the earliest proven instant over the sources, if all have one."""
        instants = [reach.proven for reach in self.of(sources)]
        known = [instant for instant in instants if instant is not None]
        if not known or len(known) < len(instants):
            return None
        return min(known, key=lambda instant: instant.monotonic_s)

    def lag_events(self, sources: tuple[str, ...]) -> int | None:
        """Return how many published events are not applied, where that is known."""
        lags = [reach.lag_events for reach in self.of(sources)]
        known = [lag for lag in lags if lag is not None]
        return sum(known) if known and len(known) == len(lags) else None

    def status(
        self, sources: tuple[str, ...], now_s: float, lagging_after_ms: int
    ) -> FreshnessStatus:
        """Return what the bound over the sources means."""
        bound_ms = self.staleness_ms(sources, now_s)
        return self.meaning(bound_ms, sources, lagging_after_ms=lagging_after_ms)

    def meaning(
        self, bound_ms: int | None, sources: tuple[str, ...], *, lagging_after_ms: int
    ) -> FreshnessStatus:
        """Return what a bound over the sources means; a proven one that is None fits no Int."""
        proven = self._is_proven(sources)
        if self.halt_reason is not None:
            return FreshnessStatus.STALLED if proven else FreshnessStatus.UNKNOWN
        if self.rebuilding:
            return FreshnessStatus.REBUILDING
        if not proven:
            return FreshnessStatus.UNKNOWN
        if bound_ms is None or self.holes(sources):
            return FreshnessStatus.STALLED
        return FreshnessStatus.LAGGING if bound_ms > lagging_after_ms else FreshnessStatus.LIVE

    def _is_proven(self, sources: tuple[str, ...]) -> bool:
        """Tell whether anything is proven; holes do not take that away."""
        reaches = self.of(sources)
        return bool(reaches) and all(reach.proven_elsewhere is not None for reach in reaches)


def elapsed_ms(since_s: float, now_s: float) -> int:
    """Return the whole milliseconds between two instants, rounded up.

    Clocks count whole nanoseconds; a float's noise below them must not make 84 ms out to be 85.
    """
    elapsed_ns = round(max(0.0, now_s - since_s) * 1e9)
    return -(-elapsed_ns // 1_000_000)


def _unknown(source: str) -> Reach:
    return Reach(source=source, proven=None, reached=None, lag_events=None)


def worst(statuses: list[FreshnessStatus]) -> FreshnessStatus:
    """Return the most severe status; LIVE when there is none."""
    return max(statuses, key=_SEVERITY.__getitem__, default=FreshnessStatus.LIVE)
