"""Plans: what an operation reads, known before it is executed.

A plan lists the places of an operation where the read model, the sources or the demand differ from
what encloses them. Every projected field is covered by its nearest place, so a bound for each place
is a bound for each field. A plan depends on the schema, the document, the variables of @skip and
@include, and on which arguments are given that send a field to its source; on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from graphql import DirectiveNode, GraphQLSchema, OperationDefinitionNode

from gateway.freshness.directives import READ_AFTER, directive_on
from gateway.freshness.look_ups import LookedUp
from gateway.freshness.paths import Keys
from gateway.freshness.place import Origin, Place
from gateway.freshness.plan_walk import IsGiven, PlanWalk
from gateway.freshness.selection import Selections


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The places of an operation, enclosing ones first, and its directives.

    `by_path` holds the places of each path: several where it belongs to members of a union.
    `look_ups` are the documents that are read by a key of the operation.
    `entries` are the places that an answer tells of; `demanding` are those under a demand; `reads`
    holds every (read model, source) that the answer depends on.
    `non_null` names, by directive, a field that is never null although the directive stands right
    at it. `contradictions` holds the directives of merged fields that differ, and the field.
    """

    operation: OperationDefinitionNode
    places: tuple[Place, ...]
    by_path: dict[Keys, tuple[Place, ...]]
    entries: tuple[Place, ...]
    demanding: tuple[Place, ...]
    reads: frozenset[tuple[str, str]]
    directives: tuple[DirectiveNode, ...]
    look_ups: tuple[LookedUp, ...]
    non_null: dict[int, str]
    contradictions: tuple[tuple[str, list[DirectiveNode]], ...]
    read_after: DirectiveNode | None


def plan_of(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    selections: Selections,
    is_given: IsGiven,
) -> Plan:
    """Return an operation's plan; `is_given` tells which arguments have a value.

    Raises:
        OperationTooCostly: with its fragments expanded it has too many fields.
    """
    walk = PlanWalk(schema, selections, is_given)
    walk.operation(operation)
    return Plan(
        operation=operation,
        places=tuple(walk.places),
        by_path=_by_path(walk.places),
        entries=_entries(walk.places),
        demanding=tuple(place for place in walk.places if place.demand is not None),
        reads=pairs_of(walk.places),
        directives=tuple(walk.directives),
        look_ups=tuple(walk.look_ups),
        non_null=walk.non_null,
        contradictions=tuple(walk.contradictions),
        read_after=directive_on(operation, READ_AFTER),
    )


def pairs_of(places: Iterable[Place]) -> frozenset[tuple[str, str]]:
    """Return every (read model, source) that the places depend on."""
    return frozenset(
        (place.read_model, source)
        for place in places
        if not place.from_source
        for source in place.sources
    )


def _by_path(places: Iterable[Place]) -> dict[Keys, tuple[Place, ...]]:
    found: dict[Keys, list[Place]] = {}
    for place in places:
        found.setdefault(place.path, []).append(place)
    return {path: tuple(same) for path, same in found.items()}


def _entries(places: Iterable[Place]) -> tuple[Place, ...]:
    """Return each (path, origin, look-up) once."""
    found: dict[tuple[Keys, Origin, int | None], Place] = {}
    for place in places:
        if place.is_entry:
            found.setdefault((place.path, place.origin, place.look_up), place)
    return tuple(found.values())
