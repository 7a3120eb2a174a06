"""The variables that decide what is selected and who answers: with them, a plan is static.

@skip and @include decide what is selected. Some arguments send their field to its source when they
are given (`order(asOf:)`); what else their value is does not matter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    GraphQLDirective,
    GraphQLIncludeDirective,
    GraphQLSkipDirective,
    Node,
    NullValueNode,
    OperationDefinitionNode,
    SelectionNode,
    ValueNode,
    VariableNode,
    Visitor,
    visit,
)

from gateway.freshness.directives import directive_on

Values = tuple[bool, ...]


class Conditions:
    """What is selected and given under values of the variables that decide it."""

    def __init__(self, values: Mapping[str, bool], given: Collection[str] = ()) -> None:
        self._values = values
        self._given = given

    def include(self, selection: SelectionNode) -> bool:
        """Tell whether a selection is part of the operation; @skip goes before @include."""
        if not selection.directives:
            return True
        skipped = self._says(selection, GraphQLSkipDirective, default=False)
        return not skipped and self._says(selection, GraphQLIncludeDirective, default=True)

    def is_given(self, value: ValueNode) -> bool:
        """Tell whether an argument's value is there."""
        if isinstance(value, VariableNode):
            return value.name.value in self._given
        return not isinstance(value, NullValueNode)

    def _says(self, node: Node, definition: GraphQLDirective, *, default: bool) -> bool:
        directive = directive_on(node, definition)
        value = _argument(directive) if directive is not None else None
        if isinstance(value, VariableNode):
            return self._values.get(value.name.value, default)
        return value.value if isinstance(value, BooleanValueNode) else default


def include_all(_selection: SelectionNode) -> bool:
    """Select whatever could be selected, for checks that hold whatever the variables are."""
    return True


class Deciders:
    """The variables of a document that decide its plans, and what they say in one request."""

    def __init__(self, document: DocumentNode, arguments: Collection[str]) -> None:
        """Find them; `arguments` are the names of those that send a field to its source."""
        names = _DecidingNames(arguments)
        visit(document, names)
        self._conditions = tuple(sorted(names.conditions))
        self._arguments = tuple(sorted(names.arguments))

    def values(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> Values:
        """Return what decides; execution itself refuses conditions that are no Boolean."""
        if not self._conditions and not self._arguments:
            return ()
        given = {**_defaults(operation), **variables}
        return (
            *(given.get(name) is True for name in self._conditions),
            *(given.get(name) is not None for name in self._arguments),
        )

    def conditions(self, values: Values) -> Conditions:
        """Return what is selected and given under these values."""
        count = len(self._conditions)
        says = dict(zip(self._conditions, values[:count], strict=True))
        given = zip(self._arguments, values[count:], strict=True)
        return Conditions(says, {name for name, is_given in given if is_given})


class _DecidingNames(Visitor):
    def __init__(self, arguments: Collection[str]) -> None:
        super().__init__()
        self._deciding = arguments
        self.conditions: set[str] = set()
        self.arguments: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        if node.name.value in (GraphQLSkipDirective.name, GraphQLIncludeDirective.name):
            value = _argument(node)
            if isinstance(value, VariableNode):
                self.conditions.add(value.name.value)

    def enter_argument(self, node: ArgumentNode, *_: Any) -> None:
        if node.name.value in self._deciding and isinstance(node.value, VariableNode):
            self.arguments.add(node.value.name.value)


def _argument(directive: DirectiveNode) -> Node | None:
    return directive.arguments[0].value if directive.arguments else None


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    """Return the defaults: of Booleans their value, of anything else that there is one."""
    return {
        definition.variable.name.value: getattr(definition.default_value, "value", True)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
        and not isinstance(definition.default_value, NullValueNode)
    }
