"""A schema that knows freshness: directives, validation rules, executor and extension.

The definitions stand in the schema from the start, so validation, introspection and the exported
SDL know them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import strawberry
from graphql import GraphQLDirective

from gateway.freshness.directives import CLIENT_DIRECTIVES
from gateway.freshness.executor import FreshnessExecutor
from gateway.freshness.extension import FreshnessExtension


class FreshnessSchema(strawberry.Schema):
    """A Strawberry schema with the directives of clients as plain definitions."""

    def _collect_graphql_directives(
        self, schema_directive_types: Iterable[type]
    ) -> tuple[GraphQLDirective, ...]:
        return (*super()._collect_graphql_directives(schema_directive_types), *CLIENT_DIRECTIVES)


def freshness_schema(
    query: type, *, extensions: Iterable[Any] = (), **options: Any
) -> FreshnessSchema:
    """Return a schema whose answers tell their freshness; takes what `strawberry.Schema` takes."""
    return FreshnessSchema(
        query=query,
        extensions=[*extensions, FreshnessExtension],
        execution_context_class=FreshnessExecutor,
        **options,
    )
