"""Plans: what an operation reads, known before it is executed.

A plan lists the places of an operation where the read model, the sources or the demand differ from
what encloses them. Every projected field is covered by its nearest place, so a bound for each place
is a bound for each field. A plan depends on the schema, the document and the variables of @skip and
@include, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from graphql import (
    DirectiveNode,
    FieldNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from strawberry.types.field import StrawberryField

from gateway.errors import OperationTooCostly
from gateway.freshness.demands import contradict
from gateway.freshness.directives import FRESHNESS, READ_AFTER, directive_on
from gateway.freshness.selection import MergedField, Selections
from gateway.projected import Projection, projection_of

Keys = tuple[str, ...]
Origin = tuple[str, tuple[str, ...]]

_FIELDS_MAX = 10_000


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A field whose origin or demand differs from what encloses it.

    `type_name` is the object type that has the field; for a union or interface that is read by
    member (`of_value`), the member's. `reader` is the path of the nearest field that reads, which
    is the place itself if that reads. `is_entry` tells that its origin differs from the enclosing
    entry's. `nullable` tells that a null here stays within the reach of the demand.
    """

    path: Keys
    type_name: str
    name: str
    of_value: bool
    origin: Origin
    reader: Keys | None
    is_entry: bool
    demand: int | None
    nullable: bool
    source_answers: bool
    node: FieldNode

    @property
    def reads(self) -> bool:
        return self.reader == self.path

    @property
    def read_model(self) -> str:
        return self.origin[0]

    @property
    def sources(self) -> tuple[str, ...]:
        return self.origin[1]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The places of an operation, enclosing ones first, and its directives.

    `entries` are the places that an answer tells of, with the name of the type where one path has
    several; `demanding` are those under a demand; `reads` holds every (read model, source) that the
    answer depends on.
    `non_null` names, by directive, a field that is never null although the directive stands right
    at it. `contradictions` holds the directives of merged fields that differ, and the field.
    """

    operation: OperationDefinitionNode
    places: tuple[Place, ...]
    entries: tuple[tuple[Place, str | None], ...]
    demanding: tuple[Place, ...]
    reads: frozenset[tuple[str, str]]
    directives: tuple[DirectiveNode, ...]
    non_null: dict[int, str]
    contradictions: tuple[tuple[str, list[DirectiveNode]], ...]
    read_after: DirectiveNode | None


def plan_of(
    schema: GraphQLSchema, operation: OperationDefinitionNode, selections: Selections
) -> Plan:
    """Return an operation's plan.

    Raises:
        OperationTooCostly: with its fragments expanded it has too many fields.
    """
    walk = _Walk(schema, selections)
    walk.operation(operation)
    return Plan(
        operation=operation,
        places=tuple(walk.places),
        entries=_entries(walk.places),
        demanding=tuple(place for place in walk.places if place.demand is not None),
        reads=frozenset((place.read_model, one) for place in walk.places for one in place.sources),
        directives=tuple(walk.directives),
        non_null=walk.non_null,
        contradictions=tuple(walk.contradictions),
        read_after=directive_on(operation, READ_AFTER),
    )


def _entries(places: Iterable[Place]) -> tuple[tuple[Place, str | None], ...]:
    """Return each (path, origin) once, and the name of the type where a path has several."""
    by_path: dict[Keys, dict[Origin, Place]] = {}
    for place in places:
        if place.is_entry:
            by_path.setdefault(place.path, {}).setdefault(place.origin, place)
    return tuple(
        (place, place.type_name if len(same) > 1 else None)
        for same in by_path.values()
        for place in same.values()
    )


class _Around(msgspec.Struct, frozen=True, kw_only=True):
    """What a field inherits."""

    path: Keys = ()
    reader: Keys | None = None
    read_model: str | None = None
    source_answers: bool = False
    entry: Origin | None = None
    covered: tuple[Origin, int | None] | None = None
    demand: int | None = None
    nullable: bool = False


class _Walk:
    def __init__(self, schema: GraphQLSchema, selections: Selections) -> None:
        self._schema = schema
        self._selections = selections
        self._fields = 0
        self.places: list[Place] = []
        self.directives: list[DirectiveNode] = []
        self.non_null: dict[int, str] = {}
        self.contradictions: list[tuple[str, list[DirectiveNode]]] = []

    def operation(self, operation: OperationDefinitionNode) -> None:
        root = self._schema.get_root_type(operation.operation)
        directive = directive_on(operation, FRESHNESS)
        around = _Around(demand=self._index(directive) if directive is not None else None)
        if root is not None:
            self._object(root, [operation.selection_set], around)

    def _object(
        self, parent: GraphQLObjectType, sets: list[SelectionSetNode], around: _Around
    ) -> None:
        for key, merged in self._selections.merged(parent, sets).items():
            definition = self._schema.get_field(parent, merged.name)
            if definition is not None and not merged.name.startswith("__"):
                self._field(parent, key, merged, definition, around)

    def _field(
        self,
        parent: GraphQLObjectType,
        key: str,
        merged: MergedField,
        definition: GraphQLField,
        around: _Around,
    ) -> None:
        self._count()
        name = f"{parent.name}.{merged.name}"
        around = self._governed(around, key, name, merged, definition.type)
        projection = _projection(definition)
        if projection is not None and not projection.reads_by_type:
            origin = _origin(projection, around)
            around = self._place(around, projection, origin, (parent.name, name), merged)
        around = _below(around, definition.type)
        for member in self._members(get_named_type(definition.type)):
            self._member(member, name, merged, projection, around)

    def _member(
        self,
        member: GraphQLObjectType,
        name: str,
        merged: MergedField,
        projection: Projection | None,
        around: _Around,
    ) -> None:
        if not self._selections.merged(member, merged.selection_sets):
            return
        if projection is not None and projection.reads_by_type:
            default = (projection.read_model, projection.sources)
            origin = projection.reads_by_type.get(member.name, default)
            around = self._place(around, projection, origin, (member.name, name), merged)
        self._object(member, merged.selection_sets, around)

    def _governed(
        self, around: _Around, key: str, name: str, merged: MergedField, type_: GraphQLOutputType
    ) -> _Around:
        """Return what holds at the field: of nested directives the innermost wins."""
        demand, nullable = around.demand, around.nullable or not is_non_null_type(type_)
        if merged.directives:
            demand, nullable = self._nearest(name, merged), not is_non_null_type(type_)
        if merged.own is not None and is_non_null_type(type_) and demand is not None:
            self.non_null[demand] = name
        return msgspec.structs.replace(
            around, path=(*around.path, key), demand=demand, nullable=nullable
        )

    def _nearest(self, name: str, merged: MergedField) -> int:
        first, *others = merged.directives
        if any(contradict(first, other) for other in others):
            self.contradictions.append((name, merged.directives))
        return self._index(first)

    def _place(
        self,
        around: _Around,
        projection: Projection,
        origin: Origin,
        names: tuple[str, str],
        merged: MergedField,
    ) -> _Around:
        """Note a place where the field differs; return what the fields below it inherit."""
        if projection.reads:
            around = msgspec.structs.replace(
                around,
                reader=around.path,
                read_model=origin[0],
                source_answers=projection.source_answers,
            )
        if around.covered == (origin, around.demand) and not projection.reads:
            return around
        self.places.append(
            Place(
                path=around.path,
                type_name=names[0],
                name=names[1],
                of_value=bool(projection.reads_by_type),
                origin=origin,
                reader=around.reader,
                is_entry=origin != around.entry,
                demand=around.demand,
                nullable=around.nullable,
                source_answers=around.source_answers and projection.source_answers,
                node=merged.nodes[0],
            )
        )
        return msgspec.structs.replace(around, entry=origin, covered=(origin, around.demand))

    def _members(self, type_: GraphQLNamedType) -> Iterable[GraphQLObjectType]:
        if is_abstract_type(type_):
            return self._schema.get_possible_types(type_)
        return [type_] if is_object_type(type_) else []

    def _index(self, directive: DirectiveNode) -> int:
        for index, known in enumerate(self.directives):
            if known is directive:
                return index
        self.directives.append(directive)
        return len(self.directives) - 1

    def _count(self) -> None:
        self._fields += 1
        if self._fields > _FIELDS_MAX:
            raise OperationTooCostly


def _projection(definition: GraphQLField) -> Projection | None:
    field = definition.extensions.get("strawberry-definition")
    return projection_of(field) if isinstance(field, StrawberryField) else None


def _origin(projection: Projection, around: _Around) -> Origin:
    """Return where a value comes from: below a field that reads, from what that has read."""
    if projection.reads or around.read_model is None:
        return projection.read_model, projection.sources
    return around.read_model, projection.sources


def _below(around: _Around, type_: GraphQLOutputType) -> _Around:
    """Return what holds below a field: a null can also stand at an item of its list."""
    inner = type_.of_type if is_non_null_type(type_) else type_
    if around.nullable or not is_list_type(inner) or is_non_null_type(inner.of_type):
        return around
    return msgspec.structs.replace(around, nullable=True)
