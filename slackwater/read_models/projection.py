"""Projections: the rules by which events become documents.

A projection says for each aggregate which row keeps its version (the guard), and for each type of
event how rows change. Rules are pure: they see rows and an event, never a store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec

from slackwater.errors import StructuralError
from slackwater.event_log.port import Topic
from slackwater.events.event import Event, EventBody, Recorded
from slackwater.events.types import EventTypes
from slackwater.read_models.documents import Collection, Document, Row, RowWrite
from slackwater.read_models.read_model import ReadModel
from slackwater.read_models.search import Index

BodyT = TypeVar("BodyT", bound=EventBody)


class Ref(NamedTuple):
    """A row by its collection's name and its id."""

    collection: str
    id: str


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """How events of one aggregate type find their rows.

    `row` names the row that carries the aggregate's version; `touches` names the other rows that
    the rules for these events may read, and change where rows are documents. In a search index a
    row changes by events of its own aggregate only.
    """

    row: Callable[[Event], Ref]
    touches: Callable[[Event], tuple[Ref, ...]] = lambda _event: ()


class Rows:
    """The rows of one batch while it is folded: loaded once, changed in memory, written once.

    The loaded documents are this batch's own and are changed in place; a batch that fails is
    dropped with them. Rules see documents by `edit` alone, so that whatever they have seen is
    written under its guard: a loaded row may be older than the stored one.
    """

    def __init__(self, loaded: dict[Ref, Row]) -> None:
        self._loaded = loaded
        self._documents: dict[Ref, Document] = {}
        self._versions: dict[Ref, int] = {}
        self._only: Ref | None = None

    def let_edit(self, only: Ref | None) -> None:
        """Refuse from now on to edit any row but this one; None allows all."""
        self._only = only

    def version(self, ref: Ref) -> int:
        """Return the version of the row's aggregate; 0 before its first event."""
        if ref in self._versions:
            return self._versions[ref]
        return self._loaded[ref].version if ref in self._loaded else 0

    def set_version(self, ref: Ref, version: int) -> None:
        """Record that the aggregate's events up to `version` are in the row."""
        self.edit(ref)
        self._versions[ref] = version

    def edit(self, ref: Ref) -> Document:
        """Return the row's document to change in place; a new row has just its id.

        Raises:
            StructuralError: nothing would guard the change.
        """
        if self._only is not None and ref != self._only:
            raise StructuralError(
                f"a rule changes row {ref.id} of {ref.collection} by another aggregate's event; "
                "rows of a search index change by their own events only, whose versions guard "
                "them: mend the projection"
            )
        if ref not in self._documents:
            row = self._loaded.get(ref)
            self._documents[ref] = row.document if row else {"id": ref.id}
        return self._documents[ref]

    def writes(self) -> list[RowWrite]:
        """Return every row that was edited, guarded by the revision that was loaded."""
        return [
            RowWrite(
                collection=ref.collection,
                id=ref.id,
                version=self.version(ref),
                expected_revision=self._loaded[ref].revision if ref in self._loaded else 0,
                document=document,
            )
            for ref, document in self._documents.items()
        ]


Rule = Callable[[Rows, Recorded[Any]], None]


class Projection:
    """A read model's rules. Exactly one of `collections` and `index` is given."""

    def __init__(
        self,
        read_model: ReadModel,
        *,
        event_types: EventTypes,
        collections: Iterable[Collection] = (),
        index: Index | None = None,
    ) -> None:
        self.read_model = read_model
        self.event_types = event_types
        self.collections = tuple(collections)
        self.index = index
        self._guards: dict[str, Guard] = {}
        self._rules: dict[type[EventBody], Rule] = {}

    @property
    def name(self) -> str:
        return self.read_model.name

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The topics that feed the read model."""
        wanted = set(self.read_model.all_topics)
        return tuple(topic for topic in self.event_types.topics if topic.name in wanted)

    def follow(self, aggregate_type: str, guard: Guard) -> None:
        """Follow an aggregate: also those of its events that no rule is about count as applied."""
        self._guards[aggregate_type] = guard

    def on(
        self, body: type[BodyT]
    ) -> Callable[
        [Callable[[Rows, Recorded[BodyT]], None]], Callable[[Rows, Recorded[BodyT]], None]
    ]:
        """Register the decorated rule for one type of event."""

        def add(
            rule: Callable[[Rows, Recorded[BodyT]], None],
        ) -> Callable[[Rows, Recorded[BodyT]], None]:
            self._rules[body] = rule
            return rule

        return add

    def guard_of(self, event: Event) -> Guard | None:
        """Return how the event finds its rows; None when its aggregate is not followed."""
        return self._guards.get(event.aggregate_type)

    def rule_for(self, body: EventBody) -> Rule | None:
        return self._rules.get(type(body))
