"""The plans of one schema, kept for documents that come again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import (
    DocumentNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_operation_ast,
)

from gateway.freshness.conditions import Deciders, Values
from gateway.freshness.plan import Plan, plan_of
from gateway.freshness.plan_walk import declared_projection
from gateway.freshness.selection import Selections

_KEPT_MAX = 512

# Which operation of a document, and what the variables say that decide its plan.
_Key = tuple[str | None, Values]
_VARIANTS_MAX = 32


class _Known(msgspec.Struct, kw_only=True):
    """A document and its plans; holding the document keeps its id from being used again."""

    document: DocumentNode
    deciders: Deciders
    plans: OrderedDict[_Key, Plan]


class Plans:
    """Makes plans, and keeps those of the documents used last."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._source_arguments = _source_arguments(schema)
        self._known: OrderedDict[int, _Known] = OrderedDict()

    def plan(
        self, document: DocumentNode, operation_name: str | None, variables: Mapping[str, Any]
    ) -> Plan | None:
        """Return the plan of an operation; None when the document has no such operation."""
        known = self._of(document)
        operation = get_operation_ast(document, operation_name)
        if operation is None:
            return None
        values = known.deciders.values(operation, variables)
        plan = known.plans.get((operation_name, values))
        if plan is None:
            plan = self._made(known, operation, values)
            _keep(known.plans, (operation_name, values), plan, _VARIANTS_MAX)
        return plan

    def _of(self, document: DocumentNode) -> _Known:
        known = self._known.get(id(document))
        if known is None:
            deciders = Deciders(document, self._source_arguments)
            known = _Known(document=document, deciders=deciders, plans=OrderedDict())
            _keep(self._known, id(document), known, _KEPT_MAX)
        else:
            self._known.move_to_end(id(document))
        return known

    def _made(self, known: _Known, operation: OperationDefinitionNode, values: Values) -> Plan:
        conditions = known.deciders.conditions(values)
        selections = Selections(self._schema, known.document, conditions.include)
        return plan_of(self._schema, operation, selections, conditions.is_given)


def _source_arguments(schema: GraphQLSchema) -> frozenset[str]:
    """Return the names of all arguments that send a field to its source."""
    types = [type_ for type_ in schema.type_map.values() if isinstance(type_, GraphQLObjectType)]
    declared = [declared_projection(field) for type_ in types for field in type_.fields.values()]
    return frozenset(name for one in declared if one is not None for name in one.source_if)


def _keep(entries: OrderedDict[Any, Any], key: Any, entry: Any, kept_max: int) -> None:
    entries[key] = entry
    if len(entries) > kept_max:
        entries.popitem(last=False)
