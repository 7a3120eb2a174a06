"""Folding into a search index: a row changes by events of its own aggregate alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from slackwater.errors import StructuralError
from slackwater.events.event import Event, Recorded
from slackwater.read_models.fold import fold
from slackwater.read_models.projection import Guard, Projection, Ref, Rows
from tests.unit.read_models.things import COLLECTIONS, INDEX, PROJECTION, Counted, event


def touching(**kept: Any) -> Projection:
    """Return a projection whose rule also changes the row of the thing that comes next."""
    projection = Projection(PROJECTION.read_model, event_types=PROJECTION.event_types, **kept)
    guard = Guard(row=_own, touches=lambda each: (_next(each),))
    projection.follow("thing", guard)

    @projection.on(Counted)
    def counted(rows: Rows, recorded: Recorded[Counted]) -> None:
        rows.edit(_own(recorded.event))["seen"] = recorded.body.n
        if recorded.body.n:
            rows.edit(_next(recorded.event))["touched"] = True

    return projection


def _own(each: Event) -> Ref:
    return Ref("things", each.aggregate_id)


def _next(each: Event) -> Ref:
    return Ref("things", chr(ord(each.aggregate_id) + 1))


@pytest.mark.parametrize(
    "events",
    [
        [event("a", 1, n=1)],
        [event("a", 1, n=1), event("b", 1, n=0)],
        [event("b", 1, n=0), event("a", 1, n=1)],
    ],
)
def test_a_foreign_change_is_refused_however_it_is_batched(events: Sequence[Event]) -> None:
    with pytest.raises(StructuralError, match=r"row b of things.*mend the projection"):
        fold(touching(index=INDEX), Rows({}), events)


def test_documents_may_be_changed_by_events_of_others() -> None:
    rows = Rows({})
    assert fold(touching(collections=COLLECTIONS), rows, [event("a", 1, n=1)]) == 1
    assert {each.id for each in rows.writes()} == {"a", "b"}
