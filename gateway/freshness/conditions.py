"""The variables that decide @skip and @include: with them, what is selected is static."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    GraphQLDirective,
    GraphQLIncludeDirective,
    GraphQLSkipDirective,
    Node,
    OperationDefinitionNode,
    SelectionNode,
    VariableNode,
    Visitor,
    visit,
)

from gateway.freshness.directives import directive_on


class Conditions:
    """What @skip and @include say under given values of their variables."""

    def __init__(self, values: Mapping[str, bool]) -> None:
        self._values = values

    def include(self, selection: SelectionNode) -> bool:
        """Tell whether a selection is part of the operation; @skip goes before @include."""
        if not selection.directives:
            return True
        skipped = self._says(selection, GraphQLSkipDirective, default=False)
        return not skipped and self._says(selection, GraphQLIncludeDirective, default=True)

    def _says(self, node: Node, definition: GraphQLDirective, *, default: bool) -> bool:
        directive = directive_on(node, definition)
        value = _argument(directive) if directive is not None else None
        if isinstance(value, VariableNode):
            return self._values.get(value.name.value, default)
        return value.value if isinstance(value, BooleanValueNode) else default


def include_all(_selection: SelectionNode) -> bool:
    """Select whatever could be selected, for checks that hold whatever the variables are."""
    return True


def condition_names(document: DocumentNode) -> tuple[str, ...]:
    """Return the names of the variables that a document's @skip and @include depend on."""
    names = _ConditionNames()
    visit(document, names)
    return tuple(sorted(names.found))


def condition_values(
    names: tuple[str, ...], operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> tuple[bool, ...]:
    """Return the values of those variables; execution itself refuses what is no Boolean."""
    if not names:
        return ()
    given = {**_defaults(operation), **variables}
    return tuple(given.get(name) is True for name in names)


class _ConditionNames(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        if node.name.value in (GraphQLSkipDirective.name, GraphQLIncludeDirective.name):
            value = _argument(node)
            if isinstance(value, VariableNode):
                self.found.add(value.name.value)


def _argument(directive: DirectiveNode) -> Node | None:
    return directive.arguments[0].value if directive.arguments else None


def _defaults(operation: OperationDefinitionNode) -> dict[str, bool]:
    return {
        definition.variable.name.value: definition.default_value.value
        for definition in operation.variable_definitions or ()
        if isinstance(definition.default_value, BooleanValueNode)
    }
