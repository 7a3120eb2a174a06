"""The answer to one operation: its body, its bytes and its status.

A request error (the operation was never executed) has no `data` at all; a field error has. Clients
of `application/graphql-response+json` see the difference in the status, too; clients of
`application/json` get 200, since they may take anything else for a broken network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import orjson
from graphql import GraphQLError
from starlette.responses import Response
from strawberry.http import GraphQLHTTPResponse
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from gateway.http.media_type import MediaType
from gateway.http.refusal import Refusal, status_of
from gateway.http.shown_error import shown

HEADERS = {
    # A kept copy would go on claiming a staleness that it no longer has.
    "Cache-Control": "no-store",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
}


def body_of(result: ExecutionResult) -> GraphQLHTTPResponse:
    """Return the body of a result, its errors as clients may see them."""
    body: GraphQLHTTPResponse = {}
    if result.errors:
        result.errors = [shown(error) for error in result.errors]
        body["errors"] = [error.formatted for error in result.errors]
    if not is_request_error(result):
        body["data"] = result.data
    if result.extensions:
        body["extensions"] = result.extensions
    return body


def is_request_error(result: ExecutionResult) -> bool:
    """Tell whether the operation failed before any of its fields was executed."""
    if isinstance(result, PreExecutionError):
        return True
    return result.data is None and all(error.path is None for error in result.errors or ())


def status_for(result: ExecutionResult, media_type: str | None) -> int:
    """Return the status of a result; its errors have been made fit to be shown."""
    if media_type != MediaType.GRAPHQL or not is_request_error(result):
        return 200
    return status_of(result.errors[0]) if result.errors else 500


def refused(error: GraphQLError, accept: str) -> Response:
    """Return the answer to a request that was refused before there was an operation."""
    headers = error.headers if isinstance(error, Refusal) else {}
    media_type = MediaType.GRAPHQL if MediaType.GRAPHQL in accept else MediaType.JSON
    return response({"errors": [error.formatted]}, status_of(error), media_type, headers)


def response(
    body: object, status: int, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the HTTP response with this body."""
    return Response(
        encoded(body),
        status_code=status,
        media_type=f"{media_type}; charset=utf-8",
        headers={**HEADERS, **(headers or {})},
    )


def encoded(body: object) -> bytes:
    """Return the body as JSON."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits and lone surrogates, which only the slower encoder can write.
        return json.dumps(body, separators=(",", ":")).encode()
