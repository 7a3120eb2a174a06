"""Refusals of HTTP: a request that is answered before there is an operation to execute."""

from __future__ import annotations

from collections.abc import Mapping

from graphql import GraphQLError

from gateway.errors import BadRequest

_STATUS_BY_CODE = {
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "INTERNAL_SERVER_ERROR": 500,
    "STALE_READ": 503,
    "SOURCE_UNAVAILABLE": 503,
    "READ_MODEL_UNAVAILABLE": 503,
    "OPERATION_TIMEOUT": 504,
}


class Refusal(BadRequest):
    """A request that HTTP itself has a status for."""

    def __init__(
        self, message: str, *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class PersistedQueryNotFound(Refusal):
    """Only the hash of a query was sent. None is kept: clients then send the query as well."""

    code = "PERSISTED_QUERY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("the gateway keeps no persisted queries; send the `query`", status=200)


def status_of(error: GraphQLError) -> int:
    """Return the HTTP status of a request that failed with this error, already coded."""
    if isinstance(error, Refusal):
        return error.status
    return _STATUS_BY_CODE.get((error.extensions or {}).get("code", ""), 400)
