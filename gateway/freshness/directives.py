"""The directives of clients: `@freshness`, `@readAfter` and `@idempotent`.

`schema.py` builds its schema with `freshness_schema(query=..., mutation=..., ...)` from
`gateway.freshness.schema`: it takes what `strawberry.Schema` takes, and adds these definitions, the
validation rules, the extension and the executor.

They are plain definitions of the schema, known to validation, introspection and the SDL, and are
read from the document once. Operation directives of Strawberry would hook each field and see only
the first of merged nodes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from graphql import (
    DirectiveLocation,
    DirectiveNode,
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLDirective,
    GraphQLEnumType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLString,
    Node,
)


class OnStale(StrEnum):
    """What to do about a field that is staler than demanded."""

    SERVE = "SERVE"
    WAIT = "WAIT"
    SOURCE = "SOURCE"
    FAIL = "FAIL"
    NULL = "NULL"


ON_STALE = GraphQLEnumType(
    "OnStale",
    OnStale,
    names_as_values=False,
    description="What to do about a field that is staler than demanded.",
)

FRESHNESS = GraphQLDirective(
    "freshness",
    [
        DirectiveLocation.QUERY,
        DirectiveLocation.FIELD,
        DirectiveLocation.FRAGMENT_SPREAD,
        DirectiveLocation.INLINE_FRAGMENT,
    ],
    args={
        "maxStalenessMs": GraphQLArgument(GraphQLNonNull(GraphQLInt)),
        "onStale": GraphQLArgument(ON_STALE, default_value=OnStale.SERVE),
        "timeoutMs": GraphQLArgument(GraphQLInt, default_value=1000),
        "allowHoles": GraphQLArgument(GraphQLBoolean, default_value=False),
    },
    description="How stale a field and all below it may be; the innermost directive wins.",
)

READ_AFTER = GraphQLDirective(
    "readAfter",
    [DirectiveLocation.QUERY, DirectiveLocation.MUTATION, DirectiveLocation.SUBSCRIPTION],
    args={"tokens": GraphQLArgument(GraphQLList(GraphQLNonNull(GraphQLString)))},
    description="The whole answer reflects the writes of these consistency tokens, or fails.",
)

IDEMPOTENT = GraphQLDirective(
    "idempotent",
    [DirectiveLocation.MUTATION, DirectiveLocation.FIELD],
    args={"key": GraphQLArgument(GraphQLNonNull(GraphQLString))},
    description="The same key again changes nothing and gets the first answer.",
)

CLIENT_DIRECTIVES = (FRESHNESS, READ_AFTER, IDEMPOTENT)


def directive_on(node: Node, definition: GraphQLDirective) -> DirectiveNode | None:
    """Return the node's use of a directive; AST lists may be None."""
    directives: Any = getattr(node, "directives", None)
    for directive in directives or ():
        if directive.name.value == definition.name:
            found: DirectiveNode = directive
            return found
    return None
