"""The merged fields of a selection, with the `@freshness` that governs each.

Fields are collected as execution collects them (aliases, fragments, type conditions, @skip and
@include), so that a plan and an answer have the same paths. Of nested directives the innermost
wins; merged fields whose innermost directives differ contradict each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    is_abstract_type,
)

from gateway.freshness.directives import FRESHNESS, directive_on

Includes = Callable[[SelectionNode], bool]


class MergedField(msgspec.Struct):
    """All fields of one response key, and the distinct directives that stand nearest to them."""

    nodes: list[FieldNode] = []
    directives: list[DirectiveNode] = []
    own: DirectiveNode | None = None
    """A directive that stands at the field itself."""

    @property
    def name(self) -> str:
        return self.nodes[0].name.value

    @property
    def selection_sets(self) -> list[SelectionSetNode]:
        return [node.selection_set for node in self.nodes if node.selection_set]

    def add(self, node: FieldNode, around: DirectiveNode | None) -> None:
        own = directive_on(node, FRESHNESS)
        self.nodes.append(node)
        self.own = self.own or own
        nearest = own or around
        if nearest is not None and not any(nearest is known for known in self.directives):
            self.directives.append(nearest)


class Selections:
    """Collects fields of one document; `includes` decides @skip and @include."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, includes: Includes) -> None:
        self._schema = schema
        self._includes = includes
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }

    def merged(
        self, parent: GraphQLObjectType, selection_sets: Iterable[SelectionSetNode]
    ) -> dict[str, MergedField]:
        """Return the fields that an object of type `parent` is asked for, by response key."""
        walk = _Walk(self._schema, self._fragments, self._includes, parent)
        for selection_set in selection_sets:
            walk.visit(selection_set, None)
        return walk.fields


class _Walk:
    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: dict[str, FragmentDefinitionNode],
        includes: Includes,
        parent: GraphQLObjectType,
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._includes = includes
        self._parent = parent
        self._spread: set[tuple[str, int]] = set()
        self.fields: dict[str, MergedField] = {}

    def visit(self, selection_set: SelectionSetNode, around: DirectiveNode | None) -> None:
        for selection in filter(self._includes, selection_set.selections):
            if isinstance(selection, FieldNode):
                self._add(selection, around)
            elif isinstance(selection, InlineFragmentNode):
                self._enter(selection, selection, around)
            elif isinstance(selection, FragmentSpreadNode):
                self._follow(selection, around)

    def _add(self, node: FieldNode, around: DirectiveNode | None) -> None:
        key = node.alias.value if node.alias else node.name.value
        if key not in self.fields:
            self.fields[key] = MergedField()
        self.fields[key].add(node, around)

    def _follow(self, spread: FragmentSpreadNode, around: DirectiveNode | None) -> None:
        fragment = self._fragments.get(spread.name.value)
        nearest = directive_on(spread, FRESHNESS) or around
        # Once for each directive: the same fragment under another one may contradict it.
        visit = (spread.name.value, id(nearest))
        if fragment is not None and visit not in self._spread:
            self._spread.add(visit)
            self._enter(spread, fragment, around)

    def _enter(
        self,
        selection: InlineFragmentNode | FragmentSpreadNode,
        fragment: InlineFragmentNode | FragmentDefinitionNode,
        around: DirectiveNode | None,
    ) -> None:
        if self._applies(fragment):
            self.visit(fragment.selection_set, directive_on(selection, FRESHNESS) or around)

    def _applies(self, fragment: InlineFragmentNode | FragmentDefinitionNode) -> bool:
        if not fragment.type_condition:
            return True
        condition: Any = self._schema.get_type(fragment.type_condition.name.value)
        if condition is self._parent:
            return True
        return is_abstract_type(condition) and self._schema.is_sub_type(condition, self._parent)
