"""Records: how the fields of one answer were really served, by their whole path.

What is not recorded was served as the plan declares. A null that stands for a failure is recorded
as a part of an answer, so that nobody takes it for a proof that there is nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.freshness.paths import Keys, Steps, prefixes, without_indices
from gateway.freshness.place import Place
from gateway.freshness.plan import Plan
from gateway.freshness.served import ServedFrom
from gateway.freshness.serving import Serving

Declared = Callable[[Place], Serving]


class Records:
    """What was recorded of one answer; `declared` gives what the plan says of a place.

    `absences` are the paths of fields that have looked for what is not there.
    """

    def __init__(self, plan: Plan | None, declared: Declared) -> None:
        self._places = plan.by_path if plan is not None else {}
        self._declared = declared
        self.by_path: dict[Steps, Serving] = {}
        self.absences: set[Steps] = set()

    def add(self, steps: Steps, serving: Serving) -> None:
        """Record a field; who it is a member of stays known."""
        known = self.by_path.get(steps)
        if known is not None and serving.member is None:
            serving = msgspec.structs.replace(serving, member=known.member)
        self.by_path[steps] = serving

    def fail(self, steps: Steps, to_source: frozenset[Keys]) -> None:
        """Record that a null at this path is no absence."""
        serving = self.by_path.get(steps) or self._covering(steps, to_source)
        if serving is not None:
            self.by_path[steps] = msgspec.structs.replace(
                serving, complete=False, reading=None, asked=None
            )

    def of_object(self, steps: Steps, type_name: str) -> list[Serving]:
        """Return how the object at a path was served; several if its type leaves that open."""
        recorded = self.at(steps)
        if recorded is not None:
            return [recorded]
        for keys in prefixes(without_indices(steps)):
            reading = [place for place in self._places.get(keys, ()) if place.reads]
            named = [one for one in reading if one.of_value and one.type_name == type_name]
            if reading:
                return [self._declared(place) for place in named or reading]
        return []

    def at(self, steps: Steps) -> Serving | None:
        """Return what was recorded of the object at a path, or of what it is a part of."""
        for above in prefixes(steps):
            if above in self.by_path:
                return self.by_path[above]
            if isinstance(above[-1], str) and self._reads(without_indices(above)):
                return None  # it was read as declared
        return None

    def _reads(self, keys: Keys) -> bool:
        return any(place.reads for place in self._places.get(keys, ()))

    def _covering(self, steps: Steps, to_source: frozenset[Keys]) -> Serving | None:
        """Return who would have answered a field that nothing was recorded of."""
        for keys in prefixes(without_indices(steps)):
            if keys in self._places:
                return self._meant(self._places[keys], to_source)
        return self.at(steps)

    def _meant(self, places: tuple[Place, ...], to_source: frozenset[Keys]) -> Serving:
        place = places[0]
        if any(other.origin != place.origin for other in places):
            return Serving(read_model=None, sources=())
        if place.from_source or place.answered_at in to_source:
            return Serving(read_model=None, sources=place.sources, served_from=ServedFrom.SOURCE)
        return self._declared(place)
