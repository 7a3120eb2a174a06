"""Execution that leaves out stale fields.

A query without stale fields is executed as Strawberry does it: `build` decides once an operation
whether fields must be watched. A field that fails or becomes null does so with the propagation of
nulls that any other error has.
"""

from __future__ import annotations

from typing import Any

from graphql import GraphQLObjectType, GraphQLOutputType, GraphQLSchema, is_non_null_type
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from graphql.type import GraphQLResolveInfo
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.errors import StaleRead
from gateway.freshness.operation import OperationFreshness
from gateway.freshness.stale import MadeNull


class FreshnessExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes operations whose fields are fresh enough, and keeps their answer."""

    @classmethod
    def build(
        cls,
        schema: GraphQLSchema,
        document: Any,
        root_value: Any = None,
        context_value: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        freshness = freshness_of(context_value)
        watched = freshness is not None and freshness.is_watched
        chosen = _WatchingExecutor if watched else cls
        build = super(FreshnessExecutor, chosen).build
        return build(schema, document, root_value, context_value, *args, **kwargs)

    def handle_field_error(
        self,
        raw_error: Exception,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        path: Path,
    ) -> None:
        if not isinstance(raw_error, MadeNull):
            super().handle_field_error(raw_error, return_type, field_details_list, path)
        elif is_non_null_type(return_type):
            raise raw_error if path.prev is not None else StaleRead()
        freshness = freshness_of(self.context_value)
        if freshness is not None:  # the null stays here: it is no absence
            freshness.fail(path)

    def build_response(self, data: dict[str, Any] | None) -> Any:
        freshness = freshness_of(self.context_value)
        if freshness is not None:
            freshness.answer(data)
        return super().build_response(data)


class _WatchingExecutor(FreshnessExecutor):
    """Looks at each field and object whether it is stale, and notices when to pin readings."""

    @property
    def _freshness(self) -> OperationFreshness:
        freshness: OperationFreshness = self.context_value.freshness
        return freshness

    def build_per_event_executor(self, payload: Any) -> Any:
        self._freshness.begin_event()
        return super().build_per_event_executor(payload)

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        stale = self._freshness.stale_field(path, parent_type.name)
        if stale is None:
            return super().execute_field(
                parent_type, source, field_details_list, path, position_context
            )
        field = parent_type.fields[field_details_list[0].node.name.value]
        self.handle_field_error(stale.exception(), field.type, field_details_list, path)
        return None

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        stale = self._freshness.stale_value(path, return_type.name)
        if stale is not None:
            raise stale.exception()
        return super().complete_object_value(
            return_type, field_details_list, info, path, result, position_context
        )

    def collect_and_execute_subfields(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        self._freshness.pin()
        return super().collect_and_execute_subfields(
            return_type, field_details_list, path, result, position_context
        )


def freshness_of(context: Any) -> OperationFreshness | None:
    """Return the freshness of the operation whose context this is, if it has one."""
    freshness = getattr(context, "freshness", None)
    return freshness if isinstance(freshness, OperationFreshness) else None
