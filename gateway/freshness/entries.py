"""Entries: which bound holds at which path of one answer.

A path without list indices means the worst over all items; an entry with an index overrides it, and
the longest path wins. What resolvers have recorded replaces what the plan declares: at the field
itself, and below it up to the next field that reads for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gateway.freshness.paths import Keys, Steps, count_at, without_indices
from gateway.freshness.plan import Place, Plan
from gateway.freshness.served import ServedFrom
from gateway.freshness.serving import Serving, served_as

Records = Mapping[Steps, Serving]
Declared = Callable[[Place], Serving]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry; its numbers are the worst of `serving` and of what `also` holds for some items.

    `type_name` tells apart entries of one path that belong to different member types.
    """

    path: Steps
    serving: Serving
    also: tuple[Serving, ...] = ()
    type_name: str | None = None


def entries_of(plan: Plan, records: Records, data: Any, declared: Declared) -> list[Entry]:
    """Return the entries of an answer; `declared` gives what the plan says of a place."""
    if not records:
        return [
            Entry(path=place.path, serving=declared(place), type_name=type_name)
            for place, type_name in plan.entries
        ]
    recorded = _Recorded(records, data, declared)
    found: list[tuple[str | None, Entry]] = []
    for place in plan.places:
        found.extend((place.type_name, entry) for entry in recorded.entries(place))
    for keys in recorded.undeclared(plan):
        found.extend((None, entry) for entry in recorded.entries_at(keys))
    return _typed(sorted(found, key=lambda entry: len(entry[1].path)))


class _Recorded:
    """Recorded servings by their path without indices."""

    def __init__(self, records: Records, data: Any, declared: Declared) -> None:
        self._data = data
        self._declared = declared
        self._by_keys: dict[Keys, dict[Steps, Serving]] = {}
        for steps, serving in records.items():
            self._by_keys.setdefault(without_indices(steps), {})[steps] = serving

    def undeclared(self, plan: Plan) -> list[Keys]:
        """Return the paths that were recorded and are no places of the plan."""
        places = {place.path for place in plan.places}
        return [keys for keys in self._by_keys if keys not in places]

    def entries_at(self, keys: Keys) -> Iterator[Entry]:
        """Return the entries of a path that the plan says nothing of."""
        yield from self._entries(keys, None, keys)

    def entries(self, place: Place) -> Iterator[Entry]:
        """Return the entries of a place."""
        above = self._governing(place)
        if above is not None:
            yield from self._entries(place.path, place, above)
        elif place.is_entry or place.reads:
            yield Entry(path=place.path, serving=self._declared(place))

    def _governing(self, place: Place) -> Keys | None:
        """Return the nearest recorded path at or above a place, up to the field that reads."""
        reader = place.reader or ()
        for length in range(len(place.path), max(len(reader), 1) - 1, -1):
            if place.path[:length] in self._by_keys:
                return place.path[:length]
        return None

    def _entries(self, keys: Keys, place: Place | None, above: Keys) -> Iterator[Entry]:
        inherited = place if keys != above else None
        items = {
            (*steps, *keys[len(above) :]): served_as(serving, inherited.sources)
            if inherited
            else serving
            for steps, serving in self._by_keys[above].items()
        }
        others = self._has_others(above)
        if inherited is None or not _is_told(inherited, items.values(), others):
            yield from _summed(keys, items, self._declared(place) if place and others else None)

    def _has_others(self, keys: Keys) -> bool:
        """Tell whether the answer has items at a path of which nothing was recorded."""
        recorded = self._by_keys[keys]
        if self._data is None:
            return keys not in recorded
        return count_at(self._data, keys) > len(recorded)


def _is_told(place: Place, servings: Iterable[Serving], others: bool) -> bool:
    """Tell whether the entry above a place holds for it, too."""
    if not place.is_entry:
        return True
    return not others and {one.served_from for one in servings} == {ServedFrom.SOURCE}


def _summed(
    keys: Keys, items: Mapping[Steps, Serving], declared: Serving | None
) -> Iterator[Entry]:
    """Return one entry for what most items agree on, and one for each item that differs."""
    servings = [*items.values()] if declared is None else [declared, *items.values()]
    common = declared if declared is not None else _most(servings)
    yield Entry(path=keys, serving=common, also=tuple(one for one in servings if one != common))
    for steps, serving in items.items():
        if serving.kind != common.kind and steps != keys:
            yield Entry(path=steps, serving=serving)


def _most(servings: list[Serving]) -> Serving:
    kinds = [serving.kind for serving in servings]
    return max(servings, key=lambda serving: kinds.count(serving.kind))


def _typed(found: Iterable[tuple[str | None, Entry]]) -> list[Entry]:
    """Drop what is said twice, and name the type where one path has several entries."""
    by_path: dict[Steps, list[tuple[str | None, Entry]]] = {}
    for type_name, entry in found:
        known = by_path.setdefault(entry.path, [])
        if all(entry != other for _, other in known):
            known.append((type_name, entry))
    return [
        entry if len(same) == 1 else msgspec.structs.replace(entry, type_name=type_name)
        for same in by_path.values()
        for type_name, entry in same
    ]
