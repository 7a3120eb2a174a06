"""Documents that the gateway knows: parsed and validated once, within the limits.

A document that is too costly is refused before the validation rules see it, since some of those
take time that grows with the square of the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    MaxIntrospectionDepthRule,
    parse,
)
from graphql.validation.validate import ValidationAbortedError
from strawberry.schema.schema import validate_document

from gateway.errors import OperationTooCostly
from gateway.http.document_cost import excess
from gateway.http.limits import Limits
from gateway.http.page_cost import PageCosts

Rules = tuple[type[ASTValidationRule], ...]


class Documents:
    """The documents of one schema, the least recently used ones forgotten."""

    def __init__(self, schema: GraphQLSchema, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._parsed = lru_cache(limits.documents_cached_max)(self._parse)
        self._refusals = lru_cache(limits.documents_cached_max)(self._validate)
        self._pages = PageCosts(schema, limits)

    def parsed(self, query: str) -> DocumentNode:
        """Return the document of a query.

        Raises:
            GraphQLSyntaxError: it is malformed or has too many tokens.
        """
        small = len(query) <= self._limits.document_cached_chars_max
        return self._parsed(query) if small else self._parse(query)

    def refusals(
        self, document: DocumentNode, rules: Rules, variables: Mapping[str, Any]
    ) -> list[GraphQLError]:
        """Return why the document may not be executed with these variables; nothing if it may."""
        refusals = list(self._refusals(document, rules))
        too_costly = None if refusals else self._pages.excess(document, variables)
        return [too_costly] if too_costly is not None else refusals

    def _parse(self, query: str) -> DocumentNode:
        return parse(query, max_tokens=self._limits.tokens_max)

    def _validate(self, document: DocumentNode, rules: Rules) -> list[GraphQLError]:
        too_costly = excess(document, self._limits)
        if too_costly:
            return [too_costly]
        refusals = validate_document(self._schema, document, (*rules, MaxIntrospectionDepthRule))
        return [_coded(refusal) for refusal in refusals]


def _coded(error: GraphQLError) -> GraphQLError:
    """Return the error with its code; validation gives up on what would take it too long."""
    if isinstance(error, ValidationAbortedError):
        return OperationTooCostly()
    error.extensions = {"code": "GRAPHQL_VALIDATION_FAILED", **(error.extensions or {})}
    return error
