"""The schema's types of freshness, and what the `freshness` fields answer.

They say the same as `extensions.freshness`, for clients that cannot see extensions. How the object
was really read decides, not what the schema declares: `OperationFreshness` knows of both.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import strawberry
from graphql import GraphQLObjectType
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info

from gateway.errors import BadUserInput
from gateway.freshness.executor import freshness_of
from gateway.freshness.operation import OperationFreshness
from gateway.freshness.served import ServedFrom
from gateway.freshness.serving import Facts, Serving, SourceFacts, facts_of, served_as, worst_of
from gateway.projected import Projection, projection_of
from slackwater.freshness.bound import FreshnessLimit, FreshnessStatus

strawberry.enum(FreshnessStatus, description="What a bound means for the reader.")
strawberry.enum(FreshnessLimit, description="The stage that keeps a bound from being smaller.")
strawberry.enum(ServedFrom, description="Who has answered.")


@strawberry.type(description="What is proven of one source of a read model.")
class SourceFreshness:
    source: str
    as_of: datetime | None
    max_staleness_ms: int | None
    tick: str | None


@strawberry.type(description="How stale something can be at most.")
class Freshness:
    read_model: str | None
    sources: list[SourceFreshness]
    as_of: datetime | None
    max_staleness_ms: int | None
    stale_except_holes_ms: int | None
    lag_events: int | None
    holes: int
    status: FreshnessStatus
    complete: bool
    served_from: ServedFrom
    limited_by: FreshnessLimit | None


def describe(info: Info[Any, Any], *, read_model: str, sources: tuple[str, ...]) -> Freshness:
    """Answer a `freshness` field of an object declared to come from a read model.

    If the object was served otherwise, that is answered.
    """
    freshness = _freshness(info)
    recorded = freshness.recorded_at(info.path.prev)
    if recorded is not None:
        return _told(freshness, [recorded])
    freshness.reading(read_model)
    return _told(freshness, [freshness.from_read_model(read_model, sources)])


def describe_object(info: Info[Any, Any], field: str | None = None) -> Freshness:
    """Answer `freshness(field:)` of the object type that has this field.

    Raises:
        BadUserInput: the type has no such field.
    """
    type_name = info._raw_info.parent_type.name  # noqa: SLF001 - Strawberry shows it nowhere else
    return describe_field(info, type_name, field)


def describe_field(info: Info[Any, Any], type_name: str, field: str | None = None) -> Freshness:
    """Answer `freshness(field:)` of an object type; without a field, the worst of all projected.

    A field that reads for itself (an edge) is told of as declared: how its page was served is not
    known yet, and stands in the answer's extensions.

    Raises:
        BadUserInput: the type has no such field.
    """
    freshness = _freshness(info)
    objects = freshness.servings_at(info.path.prev, type_name)
    projections = _projections(info, type_name, field)
    if not projections:
        return _told(freshness, objects)
    servings = (_of_field(freshness, projection, objects) for projection in projections)
    return _told(freshness, list(itertools.chain.from_iterable(servings)))


def rounded_down(moment: datetime | None) -> datetime | None:
    """Return a time cut to milliseconds."""
    if moment is None:
        return None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _freshness(info: Info[Any, Any]) -> OperationFreshness:
    freshness = freshness_of(info.context)
    if freshness is None:
        raise TypeError("the request has no OperationFreshness; give it one")
    return freshness


def _projections(info: Info[Any, Any], type_name: str, field: str | None) -> list[Projection]:
    type_ = info.schema._schema.get_type(type_name)  # noqa: SLF001 - Strawberry's views do so
    fields = type_.fields if isinstance(type_, GraphQLObjectType) else {}
    if field is not None and field not in fields:
        raise BadUserInput(f"{type_name} has no field {field!r}; name one of {', '.join(fields)}")
    wanted = fields.values() if field is None else [fields[field]]
    found = (_projection(one.extensions.get("strawberry-definition")) for one in wanted)
    return [projection for projection in found if projection is not None]


def _projection(field: Any) -> Projection | None:
    return projection_of(field) if isinstance(field, StrawberryField) else None


def _of_field(
    freshness: OperationFreshness, projection: Projection, objects: list[Serving]
) -> Iterable[Serving]:
    """Return how a field was served: one that reads for itself does not follow its object."""
    if projection.reads or not objects:
        yield freshness.from_read_model(projection.read_model, projection.sources)
        return
    for serving in objects:
        yield served_as(serving, projection.sources)


def _told(freshness: OperationFreshness, servings: list[Serving]) -> Freshness:
    now_s = freshness.now_s()
    facts = [facts_of(serving, now_s, freshness.lagging_after_ms) for serving in servings]
    if not facts:
        facts = [facts_of(Serving(read_model=None, sources=()), now_s, freshness.lagging_after_ms)]
    worst = worst_of(facts[0], facts[1:])
    return Freshness(
        read_model=_common([one.read_model for one in facts]),
        sources=_sources(facts),
        as_of=rounded_down(worst.as_of),
        max_staleness_ms=worst.max_staleness_ms,
        stale_except_holes_ms=worst.max_staleness_ms,
        lag_events=worst.lag_events,
        holes=worst.holes,
        status=worst.status,
        complete=worst.complete,
        served_from=_common([one.served_from for one in facts]) or ServedFrom.READ_MODEL,
        limited_by=worst.limited_by,
    )


def _sources(facts: list[Facts]) -> list[SourceFreshness]:
    """Return each source once, with the worst that was served of it."""
    worst: dict[str, SourceFacts] = {}
    for one in itertools.chain.from_iterable(one.sources for one in facts):
        known = worst.get(one.source)
        if known is None or one.badness > known.badness:
            worst[one.source] = one
    return [_source(one) for one in worst.values()]


def _source(facts: SourceFacts) -> SourceFreshness:
    return SourceFreshness(
        source=facts.source,
        as_of=rounded_down(facts.as_of),
        max_staleness_ms=facts.max_staleness_ms,
        tick=str(facts.tick) if facts.tick is not None else None,
    )


def _common(values: list[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else None
