"""How a field was served, and what that proves of its staleness."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import msgspec

from gateway.freshness.served import ServedFrom
from slackwater.freshness.bound import (
    INT_MAX,
    FreshnessStatus,
    Instant,
    Reach,
    Reading,
    elapsed_ms,
    worst,
)
from slackwater.freshness.limit import FreshnessLimit
from slackwater.watermarks.tick import Tick


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """Who has answered a field; `reading` or `asked` bound how old the answer is.

    `asked` is an instant before the write service was asked: its answer shows all that was visible
    then. `member` is the member of a union or interface that was read.
    """

    read_model: str | None
    sources: tuple[str, ...]
    member: str | None = None
    served_from: ServedFrom = ServedFrom.READ_MODEL
    complete: bool = True
    reading: Reading | None = None
    asked: Instant | None = None

    @property
    def kind(self) -> tuple[str | None, tuple[str, ...], ServedFrom, bool]:
        """Two servings of one kind are told of as one."""
        return self.read_model, self.sources, self.served_from, self.complete

    @property
    def facts_key(self) -> tuple[Any, ...]:
        """Servings that are alike in this prove the same."""
        return self.kind, id(self.reading), self.asked

    @property
    def is_plain(self) -> bool:
        """Whether the whole of it came from a read model in this operation."""
        return self.served_from is ServedFrom.READ_MODEL and self.complete

    @property
    def proven_s(self) -> float | None:
        """The newest instant of which it shows everything, on the clock of the probes."""
        if not self.complete:
            return None
        proven = self.asked or (self.reading.proven(self.sources) if self.reading else None)
        return proven.monotonic_s if proven is not None else None

    @property
    def proof(self) -> Reading:
        """What demands are judged by: nothing is known without a reading, or of a part."""
        if self.reading is not None and self.complete:
            return self.reading
        return Reading(
            read_model=self.read_model or "",
            version=0,
            reaches={},
            halt_reason=None,
            rebuilding=False,
        )


class SourceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is proven of one source."""

    source: str
    as_of: datetime | None
    max_staleness_ms: int | None
    tick: Tick | None = None
    limited_by: FreshnessLimit | None = None

    @property
    def badness(self) -> float:
        """The bound as a number to compare by; none is the worst."""
        return math.inf if self.max_staleness_ms is None else self.max_staleness_ms


_NOBODY = SourceFacts(source="", as_of=None, max_staleness_ms=None)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is proven of one serving; the worst over its sources.

    `stale_except_holes_ms` bounds all but what is parked (`holes`, for example by `hole_error`).
    """

    read_model: str | None
    sources: tuple[SourceFacts, ...]
    as_of: datetime | None
    max_staleness_ms: int | None
    lag_events: int | None
    status: FreshnessStatus
    complete: bool
    served_from: ServedFrom
    limited_by: FreshnessLimit | None
    stale_except_holes_ms: int | None
    holes: int = 0
    hole_error: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.source for one in self.sources)

    @property
    def badness(self) -> float:
        """The bound as a number to compare by; none is the worst."""
        return math.inf if self.max_staleness_ms is None else self.max_staleness_ms


def served_as(serving: Serving, sources: tuple[str, ...]) -> Serving:
    """Return how a field with its own sources was served along with the object that has it."""
    return msgspec.structs.replace(serving, sources=sources)


def facts_of(
    serving: Serving, now_s: float, lagging_after_ms: int, *, explain: bool = True
) -> Facts:
    """Return what is proven of a serving at `now_s`; of an incomplete one, nothing.

    What limits the bound is looked for only where it is to be explained.
    """
    if not serving.complete:
        return _unknown(serving)
    if serving.asked is not None:
        return _of_source(serving, serving.asked, now_s)
    if serving.reading is not None:
        sources = tuple(
            _source_facts(reach, now_s, explain=explain)
            for reach in serving.reading.of(serving.sources)
        )
        return _of_reading(serving, serving.reading, sources, now_s, lagging_after_ms)
    return _unknown(serving)


def worst_of(facts: Facts, others: list[Facts]) -> Facts:
    """Return `facts` with the bound, status and completeness of the worst of all."""
    every = [facts, *others]
    limiting = max(every, key=lambda one: one.badness)
    return msgspec.structs.replace(
        facts,
        as_of=_earliest([one.as_of for one in every]),
        max_staleness_ms=limiting.max_staleness_ms,
        lag_events=_greatest([one.lag_events for one in every]),
        status=worst([one.status for one in every]),
        complete=all(one.complete for one in every),
        limited_by=limiting.limited_by,
        stale_except_holes_ms=_greatest([one.stale_except_holes_ms for one in every]),
        holes=max(one.holes for one in every),
        hole_error=next((one.hole_error for one in every if one.hole_error), None),
    )


def _of_reading(
    serving: Serving,
    reading: Reading,
    sources: tuple[SourceFacts, ...],
    now_s: float,
    lagging_after_ms: int,
) -> Facts:
    worst_source = max(sources, key=lambda one: one.badness, default=_NOBODY)
    bound_ms = worst_source.max_staleness_ms
    proven = reading.proven(serving.sources)
    lag_events = reading.lag_events(serving.sources)
    holes = reading.holes(serving.sources)
    return Facts(
        read_model=serving.read_model,
        sources=sources,
        as_of=proven.wall if proven is not None else None,
        max_staleness_ms=bound_ms,
        lag_events=lag_events if lag_events is None or lag_events <= INT_MAX else None,
        status=reading.meaning(bound_ms, serving.sources, lagging_after_ms=lagging_after_ms),
        complete=True,
        served_from=serving.served_from,
        limited_by=worst_source.limited_by,
        stale_except_holes_ms=reading.staleness_ms(serving.sources, now_s, except_holes=True),
        holes=holes,
        hole_error=hole.error if (hole := reading.hole(serving.sources)) is not None else None,
    )


def _source_facts(reach: Reach, now_s: float, *, explain: bool) -> SourceFacts:
    return SourceFacts(
        source=reach.source,
        as_of=reach.proven.wall if reach.proven is not None else None,
        max_staleness_ms=reach.staleness_ms(now_s),
        tick=reach.reached,
        limited_by=reach.limited_by(now_s) if explain else None,
    )


def _of_source(serving: Serving, asked: Instant, now_s: float) -> Facts:
    age_ms = elapsed_ms(asked.monotonic_s, now_s)
    bound_ms = age_ms if age_ms <= INT_MAX else None
    return Facts(
        read_model=serving.read_model,
        sources=tuple(
            SourceFacts(source=source, as_of=asked.wall, max_staleness_ms=bound_ms)
            for source in serving.sources
        ),
        as_of=asked.wall,
        max_staleness_ms=bound_ms,
        lag_events=0,
        status=FreshnessStatus.LIVE if bound_ms is not None else FreshnessStatus.STALLED,
        complete=True,
        served_from=serving.served_from,
        limited_by=None,
        stale_except_holes_ms=bound_ms,
    )


def _unknown(serving: Serving) -> Facts:
    sources = (
        SourceFacts(source=source, as_of=None, max_staleness_ms=None) for source in serving.sources
    )
    return Facts(
        read_model=serving.read_model,
        sources=tuple(sources),
        as_of=None,
        max_staleness_ms=None,
        lag_events=None,
        status=FreshnessStatus.UNKNOWN,
        complete=serving.complete,
        served_from=serving.served_from,
        limited_by=None,
        stale_except_holes_ms=None,
    )


def instant_at(known: Instant, monotonic_s: float) -> Instant:
    """Return the instant at `monotonic_s`, its wall clock reckoned from a known one."""
    return Instant(monotonic_s, known.wall + timedelta(seconds=monotonic_s - known.monotonic_s))


def _earliest(times: list[datetime | None]) -> datetime | None:
    known = [time for time in times if time is not None]
    return min(known) if len(known) == len(times) else None


def _greatest(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return max(known) if len(known) == len(counts) else None
