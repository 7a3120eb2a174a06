"""Judging demands: against the board while waiting, and against pinned readings for good.

Waiting comes first, pinning second, data third. What was judged on a pinned reading holds for the
data, which may be newer than the reading and never older. What goes to its source is held to no
read model: it needs neither waiting nor judging, since a source shows all that was visible when it
was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from gateway.freshness.demands import Demand
from gateway.freshness.directives import OnStale
from gateway.freshness.paths import Keys
from gateway.freshness.place import Origin, Place
from gateway.freshness.read_after import ReadAfter
from gateway.freshness.stale import Stale
from slackwater.clock import Clock
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import Reading

Named = tuple[Keys, str]
ReadingOf = Callable[[Place], Reading]
Wanted = tuple[Demand, Origin, str | None]
"""A demand, what it is on, and the key of the document if one is looked up."""


class Judgement(msgspec.Struct, frozen=True):
    """Which fields fail or become null, by path and object type, and which the source answers.

    `fields` are found before they are resolved; `values` when the type of what was read is known.
    """

    fields: dict[Named, Stale] = {}
    values: dict[Named, Stale] = {}
    to_source: frozenset[Keys] = frozenset()


def judged(
    places: Iterable[Place],
    demands: Sequence[Demand],
    reading_of: ReadingOf,
    now_s: float,
    to_source: frozenset[Keys],
) -> Judgement:
    """Judge the places that are under a demand, except for those that go to their source."""
    judgement = Judgement(to_source=to_source)
    for place in places:
        if place.answered_at in to_source or prefers_source(place, demands):
            continue
        stale = stale_as_served(place, demands, reading_of(place), now_s)
        if stale is not None:
            found = judgement.values if place.of_value else judgement.fields
            found[place.path, place.type_name] = stale
    return judgement


def sent_to_source(
    places: Iterable[Place],
    demands: Sequence[Demand],
    reading_of: ReadingOf,
    read_after: ReadAfter,
    now_s: float,
) -> frozenset[Keys]:
    """Return the fields that their source must answer.

    With `onStale: SOURCE` nobody waits for a read model: one that misses a write of the operation's
    tokens is no better than one that is too stale.
    """
    return frozenset(
        place.answered_at
        for place in places
        if prefers_source(place, demands)
        and must_ask_source(place, demands, reading_of(place), read_after, now_s)
    )


def must_ask_source(
    place: Place,
    demands: Sequence[Demand],
    reading: Reading,
    read_after: ReadAfter,
    now_s: float,
) -> bool:
    """Tell whether a read model must not answer a place with `onStale: SOURCE`."""
    stale = stale_as_served(place, demands, reading, now_s)
    return stale is not None or read_after.misses(reading, place.sources)


def prefers_source(place: Place, demands: Sequence[Demand]) -> bool:
    """Tell whether a place is under a demand with `onStale: SOURCE`."""
    return place.demand is not None and demands[place.demand].on_stale is OnStale.SOURCE


def stale_as_served(
    place: Place, demands: Sequence[Demand], reading: Reading, now_s: float
) -> Stale | None:
    """Judge a place by the read model that has answered it in the place of the declared one."""
    if place.demand is None or demands[place.demand].on_stale is OnStale.SERVE:
        return None
    return _judge(place, demands[place.demand], reading, place.sources, now_s)


async def wait_until_met(
    wanted: Iterable[Wanted], board: FreshnessBoard, clock: Clock, asked_s: float
) -> None:
    """Wait until all that ask for WAIT are met at one moment, each until its own deadline."""
    waiting = {one for one in wanted if one[0].on_stale is OnStale.WAIT}
    while waiting:
        timeout_ms = min(demand.timeout_ms for demand, _, _ in waiting)
        met = await board.wait_for(
            partial(are_met, tuple(waiting), board, clock),
            deadline_s=asked_s + timeout_ms / 1000,
        )
        waiting = {one for one in waiting if not met and one[0].timeout_ms > timeout_ms}


def are_met(wanted: Iterable[Wanted], board: FreshnessBoard, clock: Clock) -> bool:
    """Tell whether demands are met as the board stands now."""
    now_s = clock.monotonic()
    return all(
        demand.is_met(reading_now(board, read_model, key), sources, now_s)
        for demand, (read_model, sources), key in wanted
    )


def reading_now(board: FreshnessBoard, read_model: str, key: str | None) -> Reading:
    """Return what the board says now of a read model, or of the document with a key."""
    return board.reading(read_model) if key is None else board.reading_of_key(read_model, key)


def _judge(
    place: Place, demand: Demand, reading: Reading, sources: tuple[str, ...], now_s: float
) -> Stale | None:
    if demand.is_met(reading, sources, now_s):
        return None
    return Stale(
        name=place.name,
        demand=demand,
        reading=reading,
        sources=sources,
        bound_ms=demand.bound_ms(reading, sources, now_s),
    )
