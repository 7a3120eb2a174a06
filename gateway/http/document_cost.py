"""What a document asks for, counted with every fragment expanded.

Each fragment is measured once, so that measuring stays linear in the document where execution would
not: a fragment that spreads another twice, which spreads another twice, doubles with each step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

from gateway.errors import OperationTooCostly
from gateway.http.limits import Limits


@dataclass(frozen=True)
class Cost:
    """Levels of fields, fields, and fields with an alias."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0

    def beside(self, other: Cost) -> Cost:
        """Return the cost of both in one selection set."""
        depth = max(self.depth, other.depth)
        return Cost(depth, self.fields + other.fields, self.aliases + other.aliases)


def excess(document: DocumentNode, limits: Limits) -> OperationTooCostly | None:
    """Return the error of a document that goes beyond the limits."""
    try:
        cost = cost_of(document)
    except RecursionError:
        return OperationTooCostly()
    for what in ("depth", "fields", "aliases"):
        count, count_max = getattr(cost, what), getattr(limits, f"{what}_max")
        if count > count_max:
            return OperationTooCostly(
                f"the operation's {what} of {count} exceed {count_max}; split it into smaller ones",
                extensions={"limit": what, "maximum": count_max},
            )
    return None


def cost_of(document: DocumentNode) -> Cost:
    """Return the cost of all of a document's operations together."""
    definitions = document.definitions
    meter = _Meter({d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)})
    operations = [d for d in definitions if isinstance(d, OperationDefinitionNode)]
    return _together(meter.of(operation.selection_set) for operation in operations)


class _Meter:
    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._costs: dict[str, Cost] = {}

    def of(self, selection_set: SelectionSetNode) -> Cost:
        return _together(self._of_selection(selection) for selection in selection_set.selections)

    def _of_selection(self, selection: SelectionNode) -> Cost:
        if isinstance(selection, FieldNode):
            return self._of_field(selection)
        if isinstance(selection, FragmentSpreadNode):
            return self._of_fragment(selection.name.value)
        return (
            self.of(selection.selection_set)
            if isinstance(selection, InlineFragmentNode)
            else Cost()
        )

    def _of_field(self, field: FieldNode) -> Cost:
        # Introspection has a rule of its own, and its standard query is deep and broad.
        opened = field.selection_set and not field.name.value.startswith("__")
        inner = self.of(field.selection_set) if opened and field.selection_set else Cost()
        aliases = inner.aliases + (field.alias is not None)
        return Cost(inner.depth + 1, inner.fields + 1, aliases)

    def _of_fragment(self, name: str) -> Cost:
        if name not in self._costs:
            # A cycle costs nothing here: validation refuses it.
            self._costs[name] = Cost()
            if name in self._fragments:
                self._costs[name] = self.of(self._fragments[name].selection_set)
        return self._costs[name]


def _together(costs: Iterator[Cost]) -> Cost:
    total = Cost()
    for cost in costs:
        total = total.beside(cost)
    return total
