"""Entries: which bound holds at which path of one answer.

A path without list indices means the worst over all items; an entry with an index overrides it, and
the longest path wins. What resolvers have recorded replaces what the plan declares: at the field
itself, and below it up to the next field that reads for itself. Nothing is told of a path that the
answer does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gateway.freshness.paths import Keys, Steps, count_at, occurs, prefixes, without_indices
from gateway.freshness.place import Place
from gateway.freshness.plan import Plan
from gateway.freshness.served import ServedFrom
from gateway.freshness.serving import Serving, served_as

Declared = Callable[[Place], Serving]
Places = tuple[Place, ...]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry; its numbers are the worst of `serving` and of what `also` holds for some items."""

    path: Steps
    serving: Serving
    also: tuple[Serving, ...] = ()


def entries_of(
    plan: Plan, records: Mapping[Steps, Serving], data: Any, declared: Declared
) -> list[Entry]:
    """Return the entries of an answer; `declared` gives what the plan says of a place."""
    shown = {steps: serving for steps, serving in records.items() if occurs(data, steps)}
    if not shown:
        return [one for one in _declared_entries(plan.entries, declared) if occurs(data, one.path)]
    recorded = _Recorded(shown, data, declared)
    found: list[Entry] = []
    for keys, places in plan.by_path.items():
        found.extend(recorded.entries(keys, places))
    for keys in recorded.undeclared(plan):
        found.extend(recorded.entries_at(keys))
    told = {entry.path: entry for entry in found if occurs(data, entry.path)}
    return sorted(told.values(), key=lambda entry: len(entry.path))


def possibly_lagging(
    entries: Collection[Entry], absences: Iterable[Steps], is_proven: Callable[[Serving], bool]
) -> set[Steps]:
    """Return the paths of the entries under which something is absent that lag may explain."""
    unproven = {
        entry.path
        for entry in entries
        if not all(is_proven(serving) for serving in (entry.serving, *entry.also))
    }
    told = {entry.path for entry in entries}
    return {path for steps in absences if (path := _telling(steps, told)) in unproven}


def _telling(steps: Steps, told: Collection[Steps]) -> Steps | None:
    """Return the path of the entry that holds for a place; those with indices go first."""
    for above in prefixes(steps):
        for path in (above, without_indices(above)):
            if path in told:
                return path
    return None


class _Recorded:
    """Recorded servings by their path without indices."""

    def __init__(self, shown: Mapping[Steps, Serving], data: Any, declared: Declared) -> None:
        self._data = data
        self._declared = declared
        self._by_keys: dict[Keys, dict[Steps, Serving]] = {}
        for steps, serving in shown.items():
            self._by_keys.setdefault(without_indices(steps), {})[steps] = serving

    def undeclared(self, plan: Plan) -> list[Keys]:
        """Return the paths that were recorded and are no places of the plan."""
        return [keys for keys in self._by_keys if keys not in plan.by_path]

    def entries_at(self, keys: Keys) -> Iterator[Entry]:
        """Return the entries of a path that the plan says nothing of."""
        yield from _summed(keys, self._by_keys[keys], [])

    def entries(self, keys: Keys, places: Places) -> Iterator[Entry]:
        """Return the entries of a path that has places."""
        above = self._governing(keys, places[0].reader or ())
        if above == keys:
            others = places if self._has_others(keys) else ()
            yield from _summed(keys, self._by_keys[keys], [self._declared(one) for one in others])
        elif above is not None:
            yield from self._inherited(keys, places, above)
        else:
            wanted = [one for one in places if one.is_entry or (one.reads and not one.from_source)]
            yield from _declared_entries(wanted, self._declared)

    def _governing(self, keys: Keys, reader: Keys) -> Keys | None:
        """Return the nearest recorded path at or above a path, up to the field that reads."""
        for length in range(len(keys), max(len(reader), 1) - 1, -1):
            if keys[:length] in self._by_keys:
                return keys[:length]
        return None

    def _inherited(self, keys: Keys, places: Places, above: Keys) -> Iterator[Entry]:
        """Return the entries of what was served along with the object above it."""
        below = keys[len(above) :]
        servings = self._by_keys[above]
        others = self._has_others(above)
        if _is_told(places, servings.values(), others):
            return
        items = {
            (*steps, *below): _as_placed(serving, places)
            for steps, serving in servings.items()
            if occurs(self._data, (*steps, *below))
        }
        declared = [self._declared(place) for place in places] if others else []
        yield from _summed(keys, items, declared)

    def _has_others(self, keys: Keys) -> bool:
        """Tell whether the answer has items at a path of which nothing was recorded."""
        return count_at(self._data, keys) > len(self._by_keys[keys])


def _declared_entries(places: Iterable[Place], declared: Declared) -> Iterator[Entry]:
    """Return an entry a path, the worst over the members of a union that it may belong to."""
    by_path: dict[Keys, list[Serving]] = {}
    for place in places:
        by_path.setdefault(place.path, []).append(declared(place))
    for path, (serving, *also) in by_path.items():
        yield Entry(path=path, serving=serving, also=tuple(also))


def _as_placed(serving: Serving, places: Places) -> Serving:
    """Return how a field was served with its object: members of a union have places apart."""
    for place in places:
        if place.member is None or place.member == serving.member:
            return served_as(serving, place.sources)
    return serving


def _is_told(places: Places, servings: Iterable[Serving], others: bool) -> bool:
    """Tell whether the entry above a place holds for it, too."""
    if not any(place.is_entry for place in places):
        return True
    return not others and {one.served_from for one in servings} == {ServedFrom.SOURCE}


def _summed(keys: Keys, items: Mapping[Steps, Serving], declared: list[Serving]) -> Iterator[Entry]:
    """Return one entry for what most items agree on, and one for each item that differs."""
    servings = [*declared, *items.values()]
    if not servings:
        return
    common = declared[0] if declared else _most(servings)
    also = {one.facts_key: one for one in servings if one.facts_key != common.facts_key}
    yield Entry(path=keys, serving=common, also=tuple(also.values()))
    for steps, serving in items.items():
        if serving.kind != common.kind and steps != keys:
            yield Entry(path=steps, serving=serving)


def _most(servings: list[Serving]) -> Serving:
    kinds = [serving.kind for serving in servings]
    return max(servings, key=lambda serving: kinds.count(serving.kind))
