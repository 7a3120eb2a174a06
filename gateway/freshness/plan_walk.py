"""The walk over an operation that finds the places of its plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from graphql import (
    DirectiveNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValueNode,
    get_named_type,
    is_abstract_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from strawberry.types.field import StrawberryField

from gateway.errors import OperationTooCostly
from gateway.freshness.demands import contradict
from gateway.freshness.directives import FRESHNESS, directive_on
from gateway.freshness.look_ups import LookedUp, value_given
from gateway.freshness.paths import Keys
from gateway.freshness.place import Origin, Place
from gateway.freshness.selection import MergedField, Selections
from gateway.projected import Projection, projection_of

IsGiven = Callable[[ValueNode], bool]
"""Tells whether an argument's value is neither null nor a variable without one."""

_FIELDS_MAX = 10_000


class _Around(msgspec.Struct, frozen=True, kw_only=True):
    """What a field inherits."""

    path: Keys = ()
    reader: Keys | None = None
    read_model: str | None = None
    member: str | None = None
    source_answers: bool = False
    from_source: bool = False
    entry: tuple[Origin, int | None] | None = None
    look_up: int | None = None
    covered: tuple[Origin, int | None] | None = None
    demand: int | None = None
    nullable: bool = False

    @property
    def governing(self) -> int | None:
        """The demand that holds here: none holds for what the source answers in any case."""
        return None if self.from_source else self.demand


class PlanWalk:
    """Collects the places and directives of one operation."""

    def __init__(self, schema: GraphQLSchema, selections: Selections, is_given: IsGiven) -> None:
        self._schema = schema
        self._selections = selections
        self._is_given = is_given
        self._fields = 0
        self.places: list[Place] = []
        self.directives: list[DirectiveNode] = []
        self.look_ups: list[LookedUp] = []
        self.non_null: dict[int, str] = {}
        self.contradictions: list[tuple[str, list[DirectiveNode]]] = []

    def operation(self, operation: OperationDefinitionNode) -> None:
        """Walk over the operation; what a command answers comes from its service."""
        root = self._schema.get_root_type(operation.operation)
        directive = directive_on(operation, FRESHNESS)
        around = _Around(
            demand=self._index(directive) if directive is not None else None,
            from_source=operation.operation is OperationType.MUTATION,
        )
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
        projection = declared_projection(definition)
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
            around = msgspec.structs.replace(around, member=member.name)
            origin = projection.origin_of(member.name)
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
            around = self._read(around, projection, origin, names[0], merged)
        covered = (origin, around.governing)
        if around.covered == covered and not projection.reads:
            return around
        self.places.append(_place(around, projection, origin, names))
        entry = None if around.from_source else (origin, around.look_up)
        return msgspec.structs.replace(around, entry=entry, covered=covered)

    def _read(
        self,
        around: _Around,
        projection: Projection,
        origin: Origin,
        type_name: str,
        merged: MergedField,
    ) -> _Around:
        """Return what holds from a field on that reads for itself."""
        return msgspec.structs.replace(
            around,
            reader=around.path,
            read_model=origin[0],
            member=around.member if projection.reads_by_type else None,
            source_answers=projection.source_answers,
            from_source=self._asks_source(projection, merged),
            look_up=self._look_up(around, projection, (origin[0], type_name), merged),
        )

    def _look_up(
        self, around: _Around, projection: Projection, names: tuple[str, str], merged: MergedField
    ) -> int | None:
        """Return the look-up whose document is read: at the root, where the key is known before."""
        if projection.same_document:
            return around.look_up
        if projection.looks_up is None or len(around.path) > 1:
            return None
        value = value_given(projection.looks_up, merged.nodes[0].arguments)
        if value is None:
            return None
        read_model, type_name = names
        self.look_ups.append(
            LookedUp(
                read_model=read_model,
                value=value,
                type_name=type_name,
                look_up=projection.looks_up,
            )
        )
        return len(self.look_ups) - 1

    def _asks_source(self, projection: Projection, merged: MergedField) -> bool:
        return any(
            argument.name.value in projection.source_if and self._is_given(argument.value)
            for argument in merged.nodes[0].arguments or ()
        )

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


def declared_projection(definition: GraphQLField) -> Projection | None:
    """Return where a field of the schema is declared to come from."""
    field = definition.extensions.get("strawberry-definition")
    return projection_of(field) if isinstance(field, StrawberryField) else None


def _place(
    around: _Around, projection: Projection, origin: Origin, names: tuple[str, str]
) -> Place:
    return Place(
        path=around.path,
        type_name=names[0],
        name=names[1],
        of_value=bool(projection.reads_by_type),
        member=around.member,
        origin=origin,
        reader=around.reader,
        is_entry=(origin, around.look_up) != around.entry and not around.from_source,
        demand=around.governing,
        nullable=around.nullable,
        source_answers=around.source_answers and projection.source_answers,
        from_source=around.from_source,
        look_up=around.look_up,
    )


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
