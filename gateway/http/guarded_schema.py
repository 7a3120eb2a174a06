"""A schema as clients may use it: within limits, with a deadline, and with a log line an operation.

The guards sit in the schema, not in the transport, so that no transport (POST, GET, events,
WebSocket) can be a way around them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing, suppress
from typing import Any

from graphql import ExecutionResult, GraphQLError, OperationDefinitionNode
from strawberry import Schema
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import StreamResult
from strawberry.types import ExecutionContext
from strawberry.types.execution import PreExecutionError

from gateway.errors import OperationTimeout
from gateway.http.documents import Documents
from gateway.http.limits import Limits
from gateway.http.shown_error import code_of
from slackwater.logs import logger

_log = logger("gateway")


class GuardedSchema(Schema):
    """A schema with the guards around its own extensions; the schema given stays as it is."""

    def __init__(self, schema: Schema, limits: Limits) -> None:
        self.__dict__.update(vars(schema))
        documents = Documents(schema._schema, limits)  # noqa: SLF001 - Strawberry's own views do so
        self._deadline_s = limits.operation_timeout_s
        self.extensions = (
            OperationLog,
            *schema.extensions,
            lambda: DocumentGuard(documents, limits.tokens_max),
        )

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log nothing: errors are logged where they are masked, with the id that clients get."""

    async def stream(self, *args: Any, **kwargs: Any) -> StreamResult:
        """Stream results; what is raised between them becomes the last one."""
        return _settled(await super().stream(*args, **kwargs))

    async def _execute_operation(
        self, execution_context: ExecutionContext, *args: Any, **kwargs: Any
    ) -> Any:
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                return await super()._execute_operation(execution_context, *args, **kwargs)
        except TimeoutError:
            if not deadline.expired():
                raise
            execution_context.result = ExecutionResult(None, [OperationTimeout()])
            return execution_context.result


async def _settled(results: StreamResult) -> StreamResult:
    try:
        async with aclosing(results):
            async for result in results:
                yield result
    except Exception as error:
        yield PreExecutionError(None, [_as_graphql(error)])


def _as_graphql(error: Exception) -> GraphQLError:
    if isinstance(error, GraphQLError):
        return error
    return GraphQLError(str(error), original_error=error)


class OperationLog(SchemaExtension):
    """Logs one line an operation; a subscription's when it ends."""

    def on_operation(self) -> Iterator[None]:
        started_s = time.perf_counter()
        codes = ["CANCELLED"]
        try:
            yield
            codes = [code_of(error) for error in self._errors()]
        except Exception as error:
            codes = [code_of(_as_graphql(error))]
            raise
        finally:
            ms = round((time.perf_counter() - started_s) * 1_000, 1)
            name = self.execution_context.operation_name
            _log.info("operation", name=name, ms=ms, errors=codes)

    def _errors(self) -> list[GraphQLError]:
        context = self.execution_context
        errors = getattr(context.result, "errors", None) or context.pre_execution_errors
        return errors or []


class DocumentGuard(SchemaExtension):
    """Takes documents from those known, and refuses those beyond the limits.

    It comes last of the extensions, so that it sees the validation rules that the others add.
    """

    def __init__(self, documents: Documents, tokens_max: int) -> None:
        self._documents = documents
        self._tokens_max = tokens_max

    def on_operation(self) -> Iterator[None]:
        self.execution_context.parse_options["max_tokens"] = self._tokens_max
        yield

    def on_parse(self) -> Iterator[None]:
        # Strawberry parses again what could not be parsed here, and reports it in its way.
        with suppress(GraphQLError):
            self.execution_context.graphql_document = self._documents.parsed(
                self.execution_context.query or ""
            )
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        if context.graphql_document and not context.pre_execution_errors:
            context.pre_execution_errors = _ambiguity(context) or self._documents.refusals(
                context.graphql_document, context.validation_rules, context.variables or {}
            )
        yield


def _ambiguity(context: ExecutionContext) -> list[GraphQLError]:
    """Refuse what Strawberry would guess: which of several operations is meant."""
    definitions = context.graphql_document.definitions if context.graphql_document else ()
    operations = [d for d in definitions if isinstance(d, OperationDefinitionNode)]
    named = context._provided_operation_name is not None  # noqa: SLF001 - the property guesses
    if named or len(operations) < 2:
        return []
    message = "the document has several operations; name one as `operationName`"
    return [GraphQLError(message, extensions={"code": "OPERATION_RESOLUTION_FAILURE"})]
