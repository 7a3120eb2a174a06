"""The holes of one read model as a reader meets them: by source, and by the document concerned.

A document lacks what is parked of it, so what is proven of it ends where its first hole begins. A
list could show any document, so all holes count there. Where it is not known which documents a hole
concerns, it concerns every one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from slackwater.event_log.port import TopicPartition
from slackwater.read_models.dead_letters import Hole
from slackwater.read_models.read_model import ReadModel


class Holes:
    """Some holes of a read model; `by_document` finds those of one document."""

    def __init__(self, read_model: ReadModel, holes: Sequence[Hole] = ()) -> None:
        self._read_model = read_model
        self._holes = tuple(holes)
        self._anywhere: list[Hole] = []
        self._by_document: defaultdict[str, list[Hole]] = defaultdict(list)
        for hole in self._holes:
            if hole.key is None or (hole.documents is None and not self._is_keyed(hole)):
                self._anywhere.append(hole)
                continue
            for document in {hole.key, *(hole.documents or ())}:
                self._by_document[document].append(hole)

    def __bool__(self) -> bool:
        return bool(self._holes)

    @property
    def places(self) -> tuple[tuple[TopicPartition, str | None], ...]:
        """Where they are, to tell these holes from others of the same moment."""
        return tuple((hole.at, hole.key) for hole in self._holes)

    def of_document(self, document: str) -> Holes:
        """Return the holes by which a document may be too old."""
        found = [*self._anywhere, *self._by_document.get(document, ())]
        return Holes(self._read_model, found)

    def have_document(self, document: str) -> bool:
        """Tell whether the document itself may lack something, and not only a list that is by it.

        A list of what has one partition key is named by that key, as a document is by its id.
        """
        return any(
            hole.documents is None or document in hole.documents or self._is_keyed(hole)
            for hole in self._holes
        )

    def of_source(self, source: str) -> tuple[Hole, ...]:
        """Return those that lack events of a source."""
        topics = self._read_model.topics[source]
        return tuple(hole for hole in self._holes if hole.at.topic in topics)

    def _is_keyed(self, hole: Hole) -> bool:
        """Tell whether all documents that the hole concerns have its key as their id."""
        return hole.at.topic in self._read_model.keyed


def passed(
    positions: Mapping[TopicPartition, int], holes: Sequence[Hole]
) -> Mapping[TopicPartition, int]:
    """Return how far everything is applied: positions, but no further than the first hole."""
    if not holes:
        return positions
    lowered = dict(positions)
    for hole in holes:
        if hole.at in lowered:
            lowered[hole.at] = min(lowered[hole.at], hole.offset)
    return lowered
