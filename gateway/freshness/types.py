"""The schema's types of freshness, and what the `freshness` fields answer.

They say the same as `extensions.freshness`, for clients that cannot see extensions. How the object
was really read decides, not what the schema declares: `OperationFreshness` knows of both.
"""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

import msgspec
import strawberry
from graphql import GraphQLObjectType
from strawberry.types.info import Info

from gateway.errors import BadUserInput
from gateway.freshness.executor import freshness_of
from gateway.freshness.operation import OperationFreshness
from gateway.freshness.paths import steps_of
from gateway.freshness.plan_walk import declared_projection
from gateway.freshness.served import ServedFrom
from gateway.freshness.serving import Facts, Serving, SourceFacts, facts_of, served_as, worst_of
from gateway.projected import Projection
from slackwater.freshness.bound import FreshnessStatus
from slackwater.freshness.limit import FreshnessLimit

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
    recorded = freshness.records.at(steps_of(info.path.prev))
    if recorded is not None:
        return _told(freshness, recorded)
    freshness.reading(read_model)
    return _told(freshness, freshness.from_read_model(read_model, sources))


def describe_object(info: Info[Any, Any], field: str | None = None) -> Freshness:
    """Answer `freshness(field:)` of the object type that has this field.

    Raises:
        BadUserInput: the type has no such field.
    """
    type_name = info._raw_info.parent_type.name  # noqa: SLF001 - Strawberry shows it nowhere else
    return describe_field(info, type_name, field)


def describe_field(info: Info[Any, Any], type_name: str, field: str | None = None) -> Freshness:
    """Answer `freshness(field:)` of an object type; without a field, the worst of all projected.

    Who has answered is told of the object itself, or of the field that is asked about; the bound is
    the worst. How the page of a field that reads for itself (an edge) is served is not known yet,
    and stands in the answer's extensions: it is told of as declared, with the worst bound of all
    that may serve it. A field that is too stale to be shown has no bound.

    Raises:
        BadUserInput: the type has no such field.
    """
    freshness = _freshness(info)
    objects = freshness.records.of_object(steps_of(info.path.prev), type_name)
    fields = _fields(info, type_name, field)
    servings = [
        serving
        for name, projection in fields.items()
        for serving in _of_field(freshness, info, f"{type_name}.{name}", projection, objects)
    ]
    if field is None or not servings:
        servings = [*objects, *servings]
    return _told(freshness, *servings)


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


def _fields(info: Info[Any, Any], type_name: str, field: str | None) -> dict[str, Projection]:
    """Return the projected fields that are meant."""
    type_ = info.schema._schema.get_type(type_name)  # noqa: SLF001 - Strawberry's views do so
    fields = type_.fields if isinstance(type_, GraphQLObjectType) else {}
    if field is not None and field not in fields:
        raise BadUserInput(f"{type_name} has no field {field!r}; name one of {', '.join(fields)}")
    wanted = fields if field is None else {field: fields[field]}
    declared = {name: declared_projection(definition) for name, definition in wanted.items()}
    return {name: one for name, one in declared.items() if one is not None}


def _of_field(
    freshness: OperationFreshness,
    info: Info[Any, Any],
    name: str,
    projection: Projection,
    objects: list[Serving],
) -> list[Serving]:
    """Return how a field was served: one that reads for itself does not follow its object."""
    if projection.reads or not objects:
        origins = [(projection.read_model, projection.sources), *projection.or_from]
        servings = [freshness.from_read_model(*origin) for origin in origins]
    else:
        servings = [served_as(serving, projection.sources) for serving in objects]
    if freshness.required.withholds(info.path.prev, name):
        return [msgspec.structs.replace(one, complete=False) for one in servings]
    return servings


_UNKNOWN = Serving(read_model=None, sources=())


def _told(freshness: OperationFreshness, serving: Serving = _UNKNOWN, *also: Serving) -> Freshness:
    """Tell who has answered by the first serving, and the worst of all."""
    by_key = {one.facts_key: one for one in (serving, *also)}
    now_s = freshness.now_s()
    facts = [facts_of(one, now_s, freshness.lagging_after_ms) for one in by_key.values()]
    worst = worst_of(facts[0], facts[1:])
    return Freshness(
        read_model=worst.read_model,
        sources=_sources(facts),
        as_of=rounded_down(worst.as_of),
        max_staleness_ms=worst.max_staleness_ms,
        stale_except_holes_ms=worst.stale_except_holes_ms,
        lag_events=worst.lag_events,
        holes=worst.holes,
        status=worst.status,
        complete=worst.complete,
        served_from=worst.served_from,
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
