"""Folds a batch of events into rows, each event exactly once.

Versions are contiguous: the next one is applied, one that is not newer is a duplicate and dropped,
and behind a missing one nothing of the aggregate is, unless that one was discarded. "The newer
wins" would lose what came between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slackwater.errors import PoisonousEventError, SlackwaterError
from slackwater.events.event import Event
from slackwater.read_models.discards import NO_DISCARDS, Discards
from slackwater.read_models.projection import Guard, Projection, Ref, Rows


class MissingVersionError(PoisonousEventError):
    """An event of an aggregate is missing; mend the log or rebuild the read model."""


def refs_of(projection: Projection, events: Iterable[Event]) -> set[Ref]:
    """Return every row that folding these events may need.

    Raises:
        PoisonousEventError: an event does not say which.
    """
    refs: set[Ref] = set()
    for event in events:
        guard = projection.guard_of(event)
        if guard is not None:
            refs.update(_refs(guard, event))
    return refs


def fold(
    projection: Projection,
    rows: Rows,
    events: Sequence[Event],
    discards: Discards = NO_DISCARDS,
) -> int:
    """Apply events to rows in order; return how many were new.

    Raises:
        PoisonousEventError: an event cannot be applied; those before it have been.
    """
    return sum(_fold_one(projection, rows, event, discards) for event in events)


def _fold_one(projection: Projection, rows: Rows, event: Event, discards: Discards) -> bool:
    guard = projection.guard_of(event)
    if guard is None or not _is_next(rows.version(guard.row(event)), event, discards):
        return False
    recorded = projection.event_types.decode(event)
    rule = projection.rule_for(recorded.body)
    rows.let_edit(guard.row(event) if projection.index is not None else None)
    if rule is not None:
        try:
            rule(rows, recorded)
        except SlackwaterError:
            raise
        except Exception as error:  # a rule is pure: whatever it raises, it will raise again
            raise _unprojectable(event, error) from error
    rows.set_version(guard.row(event), event.version)
    return True


def _refs(guard: Guard, event: Event) -> tuple[Ref, ...]:
    try:
        return guard.row(event), *guard.touches(event)
    except Exception as error:  # pure as a rule
        raise _unprojectable(event, error) from error


def _unprojectable(event: Event, error: Exception) -> PoisonousEventError:
    return PoisonousEventError(
        f"event {event.id} of type {event.type} ({event.aggregate_type} {event.aggregate_id}) "
        f"cannot be projected: {error!r}; mend the projection"
    )


def _is_next(version: int, event: Event, discards: Discards) -> bool:
    if event.version <= version or discards.leaves_out(event, version):
        return False
    if event.version > version + 1 and not discards.bridge(event, version):
        raise MissingVersionError(
            f"{event.aggregate_type} {event.aggregate_id} is at version {version} and the next "
            f"event is {event.version}; mend the log or rebuild the read model"
        )
    return True
