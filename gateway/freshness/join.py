"""Joins: how far apart the inputs of an answer are, and whether they are known at one tick vector.

Each input is a read model with one of its sources, or a source that was asked itself. What is shown
of an input may be newer than what is proven of it, so a consistent join is no snapshot: it is the
state of all sources that every input is known to have reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from gateway.freshness.serving import Serving
from slackwater.freshness.bound import INT_MAX, elapsed_ms
from slackwater.watermarks.tick import Tick


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """What is proven of one input; a source that was asked itself tells no tick."""

    read_model: str | None
    source: str
    proven_s: float | None
    tick: Tick | None


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """Two inputs or more.

    `spread_ms` is the time between the earliest and the latest moment that they prove, rounded up;
    None where one proves none. `is_consistent` tells that they agree on the tick of each source.
    """

    spread_ms: int | None
    is_consistent: bool


def join_of(servings: Iterable[Serving]) -> Join | None:
    """Return how what was served fits together; None when it is one input."""
    inputs = {one for serving in servings for one in _inputs(serving)}
    if len(inputs) < 2:
        return None
    return Join(spread_ms=_spread_ms(inputs), is_consistent=_is_consistent(inputs))


def _inputs(serving: Serving) -> Iterator[Input]:
    reading = serving.reading if serving.complete else None
    for source in serving.sources:
        if reading is None:
            proven_s, tick = serving.proven_s, None
        else:
            (reach,) = reading.of((source,))
            proven_s = reach.proven.monotonic_s if reach.proven is not None else None
            tick = reach.reached if reach.proven is not None else None
        yield Input(read_model=serving.read_model, source=source, proven_s=proven_s, tick=tick)


def _spread_ms(inputs: Iterable[Input]) -> int | None:
    moments = [one.proven_s for one in inputs]
    known = [moment for moment in moments if moment is not None]
    if len(known) < len(moments):
        return None
    spread_ms = elapsed_ms(min(known), max(known))
    return spread_ms if spread_ms <= INT_MAX else None


def _is_consistent(inputs: Iterable[Input]) -> bool:
    ticks: dict[str, Tick] = {}
    return all(
        one.tick is not None and ticks.setdefault(one.source, one.tick) == one.tick
        for one in inputs
    )
