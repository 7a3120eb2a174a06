"""How many items an operation can ask for: pages in pages multiply.

A page counts with the size that it is asked for, whatever there is. Sizes may be variables, so that
this is counted a request; it is remembered by document and sizes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    get_named_type,
    visit,
)

from gateway.errors import OperationTooCostly
from gateway.http.limits import Limits
from gateway.readers import PAGE_MAX, PAGE_SIZE

_SIZE = "first"

_SIZES_MAX = 32

Sizes = tuple[tuple[str, int], ...]


class PageCosts:
    """The costs of the documents of one schema, the least recently used ones forgotten."""

    def __init__(self, schema: GraphQLSchema, limits: Limits) -> None:
        self._items_max = limits.items_max
        self._pages = lru_cache(limits.documents_cached_max)(partial(_Pages, schema))

    def excess(
        self, document: DocumentNode, variables: Mapping[str, Any]
    ) -> OperationTooCostly | None:
        """Return the error of a valid document that asks for too many items."""
        count = self._pages(document).count(variables)
        if count <= self._items_max:
            return None
        return OperationTooCostly(
            f"the operation asks for {count} items and may for {self._items_max}; "
            f"ask for smaller pages with `{_SIZE}`, or for fewer lists within lists",
            extensions={"limit": "items", "maximum": self._items_max},
        )


class _Pages:
    """The pages of one document, and what they came to with the sizes used last."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._defaults = _size_variables(document)
        self._counted = lru_cache(_SIZES_MAX)(lambda sizes: items_of(schema, document, dict(sizes)))

    def count(self, variables: Mapping[str, Any]) -> int:
        return self._counted(
            tuple((name, _size(variables.get(name, default))) for name, default in self._defaults)
        )


def items_of(schema: GraphQLSchema, document: DocumentNode, sizes: Mapping[str, int]) -> int:
    """Return how many items the greatest of a document's operations can ask for."""
    meter = _Meter(schema, document, sizes)
    return max(
        (
            meter.of(one.selection_set, schema.get_root_type(one.operation))
            for one in document.definitions
            if isinstance(one, OperationDefinitionNode)
        ),
        default=0,
    )


class _Meter:
    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, sizes: Mapping[str, int]
    ) -> None:
        self._schema = schema
        self._sizes = sizes
        self._fragments = {
            one.name.value: one
            for one in document.definitions
            if isinstance(one, FragmentDefinitionNode)
        }
        self._counts: dict[str, int] = {}

    def of(self, selection_set: SelectionSetNode | None, parent: GraphQLNamedType | None) -> int:
        selections = selection_set.selections if selection_set is not None else ()
        return sum(self._of_selection(selection, parent) for selection in selections)

    def _of_selection(self, selection: SelectionNode, parent: GraphQLNamedType | None) -> int:
        if isinstance(selection, FieldNode):
            return self._of_field(selection, parent)
        if isinstance(selection, FragmentSpreadNode):
            return self._of_fragment(selection.name.value)
        if isinstance(selection, InlineFragmentNode):
            return self.of(selection.selection_set, self._type_of(selection) or parent)
        return 0

    def _of_field(self, field: FieldNode, parent: GraphQLNamedType | None) -> int:
        definition = getattr(parent, "fields", {}).get(field.name.value)
        if definition is None:
            return 0
        inner = self.of(field.selection_set, get_named_type(definition.type))
        return inner if _SIZE not in definition.args else self._page(field, definition, inner)

    def _page(self, field: FieldNode, definition: GraphQLField, inner: int) -> int:
        given = next((one for one in field.arguments or () if one.name.value == _SIZE), None)
        default = definition.args[_SIZE].default_value
        size = self._given(given) if given is not None else _size(default)
        return size * (1 + inner)

    def _given(self, argument: ArgumentNode) -> int:
        if isinstance(argument.value, VariableNode):
            return self._sizes.get(argument.value.name.value, PAGE_SIZE)
        return _written(argument.value)

    def _of_fragment(self, name: str) -> int:
        if name not in self._counts:
            self._counts[name] = 0
            fragment = self._fragments.get(name)
            if fragment is not None:
                self._counts[name] = self.of(fragment.selection_set, self._type_of(fragment))
        return self._counts[name]

    def _type_of(
        self, fragment: InlineFragmentNode | FragmentDefinitionNode
    ) -> GraphQLNamedType | None:
        condition = fragment.type_condition
        return self._schema.get_type(condition.name.value) if condition else None


class _SizeVariables(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_argument(self, node: ArgumentNode, *_: Any) -> None:
        if node.name.value == _SIZE and isinstance(node.value, VariableNode):
            self.names.add(node.value.name.value)


def _size_variables(document: DocumentNode) -> Sizes:
    """Return the variables that are sizes of pages, with their defaults."""
    found = _SizeVariables()
    visit(document, found)
    defaults = dict(_defaults(document))
    return tuple((name, defaults.get(name, PAGE_SIZE)) for name in sorted(found.names))


def _defaults(document: DocumentNode) -> Iterable[tuple[str, int]]:
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            for one in operation.variable_definitions or ():
                yield one.variable.name.value, _written(one.default_value)


def _written(value: Any) -> int:
    return _size(int(value.value)) if isinstance(value, IntValueNode) else PAGE_SIZE


def _size(value: Any) -> int:
    """Return the size of a page; one that is none is refused when it is read."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return min(max(value, 0), PAGE_MAX) if is_number else PAGE_SIZE
