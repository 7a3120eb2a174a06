"""The whole schema, and its text."""

from __future__ import annotations

from collections.abc import Iterator

import strawberry
from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
)

from gateway.freshness.schema import freshness_schema
from gateway.schema.mutations import Mutation
from gateway.schema.query import Query
from gateway.schema.subscription import Subscription


def make_schema() -> strawberry.Schema:
    """Build the schema with everything that tells of freshness."""
    schema = freshness_schema(query=Query, mutation=Mutation, subscription=Subscription)
    for optional in _inputs(schema._schema):  # noqa: SLF001 - Strawberry's own views do so
        if optional.default_value is None:
            optional.default_value = Undefined  # no default; Python's None stands for leaving out
    return schema


def sdl() -> str:
    """Return the schema's text; the same code gives the same text."""
    return make_schema().as_str() + "\n"


def _inputs(schema: GraphQLSchema) -> Iterator[GraphQLArgument | GraphQLInputField]:
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLInputObjectType):
            yield from type_.fields.values()
        elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for field in type_.fields.values():
                yield from field.args.values()
