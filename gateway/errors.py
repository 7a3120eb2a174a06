"""The errors that clients see: each carries its code, and its message ends with the remedy.

Whatever reaches a client without being one of these (or an error of the GraphQL language itself) is
masked, so that no driver's text or stack leaves the gateway.
"""

# ruff: noqa: N818 - these are named after their codes, which clients know

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from graphql import GraphQLError, Node


class CodedError(GraphQLError):
    """Something the gateway tells a client on purpose."""

    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"
    default_message: ClassVar[str] = "internal error; report the errorId, it stands in the log"

    def __init__(
        self,
        message: str | None = None,
        *,
        nodes: Collection[Node] | Node | None = None,
        path: Collection[str | int] | None = None,
        extensions: Mapping[str, Any] | None = None,
        original_error: Exception | None = None,
    ) -> None:
        """Make the error; `extensions` are further facts beside the code."""
        super().__init__(
            message or self.default_message,
            nodes=nodes,
            path=path,
            original_error=original_error,
            extensions={**(extensions or {}), "code": self.code},
        )


class BadRequest(CodedError):
    """The HTTP request holds no operation that could be read."""

    code = "BAD_REQUEST"
    default_message = "the request cannot be read; send a JSON object with a `query`"


class BadUserInput(CodedError):
    """An argument or a variable has a value that the schema or the domain refuses."""

    code = "BAD_USER_INPUT"
    default_message = "an argument is invalid; correct it and send the operation again"


class StaleRead(CodedError):
    """The answer would be staler than the client accepts, or miss a write that it asks for."""

    code = "STALE_READ"
    default_message = "the read model is staler than demanded; wait longer or accept more staleness"


class SourceUnavailable(CodedError):
    """A write service does not answer."""

    code = "SOURCE_UNAVAILABLE"
    default_message = "the write service does not answer; try again in a moment"


class ReadModelUnavailable(CodedError):
    """A read model cannot be read."""

    code = "READ_MODEL_UNAVAILABLE"
    default_message = "the read model cannot be read; try again in a moment"


class OperationTimeout(CodedError):
    """The operation took longer than the gateway allows; a mutation may have been done."""

    code = "OPERATION_TIMEOUT"
    default_message = (
        "the operation took too long; ask for less; a mutation may have been done: "
        "repeat it with the same idempotency key, or look before you repeat it"
    )


class OperationTooCostly(CodedError):
    """The document is larger or deeper than the gateway allows."""

    code = "OPERATION_TOO_COSTLY"
    default_message = "the operation is too costly; split it into smaller ones"


class InvalidConsistencyToken(CodedError):
    """A consistency token is broken, forged or from another installation."""

    code = "INVALID_CONSISTENCY_TOKEN"
    default_message = "the consistency token is invalid; use it exactly as a mutation returned it"


class IdempotencyKeyMismatch(CodedError):
    """An idempotency key was used before with other parameters."""

    code = "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
    default_message = (
        "this idempotency key belongs to another command; repeat that one, or use a new key"
    )
