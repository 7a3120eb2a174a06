"""Errors as clients see them: every one has a code, and what was not foreseen is masked.

A masked error keeps its path and gets an `errorId`. The id stands in the log beside the traceback
and the correlation id, so that whoever is told the id can find the cause, and nobody else learns of
it.
"""

from __future__ import annotations

from typing import Any

from graphql import FieldNode, GraphQLError, GraphQLSyntaxError, VariableDefinitionNode
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from gateway.errors import CodedError, OperationTooCostly
from slackwater.errors import SlackwaterError
from slackwater.ids import new_id
from slackwater.logs import logger

INTERNAL = CodedError.code
_CODES: dict[type[Exception], str] = {
    CannotGetOperationTypeError: "OPERATION_RESOLUTION_FAILURE",
    InvalidOperationTypeError: "BAD_REQUEST",
}
_log = logger("gateway")


def shown(error: Exception) -> GraphQLError:
    """Return the error as a client may see it; log it if it must not be seen.

    What this has returned it returns again as it is.
    """
    if not isinstance(error, GraphQLError):
        error = GraphQLError(str(error), original_error=error)
    code, extensions = code_of(error), error.extensions or {}
    if code == INTERNAL:
        return error if "errorId" in extensions else _masked(error)
    if "code" in extensions:
        return error
    return _like(error, error.message, {**extensions, "code": code})


def code_of(error: GraphQLError) -> str:
    """Return the code of an error, judged by where it came from if it does not carry one."""
    if error.extensions and "code" in error.extensions:
        return str(error.extensions["code"])
    if isinstance(error, GraphQLSyntaxError):
        return _code_of_syntax(error)
    origin = origin_of(error)
    if isinstance(origin, SlackwaterError):
        return origin.code
    if type(origin) in _CODES:
        return _CODES[type(origin)]
    if _blames_input(error):
        return "BAD_USER_INPUT"
    if isinstance(origin, GraphQLError) and error.path is None:
        return "GRAPHQL_VALIDATION_FAILED"
    return INTERNAL


def origin_of(error: Exception) -> Exception:
    """Return what was raised first, under all that execution has wrapped around it."""
    while isinstance(error, GraphQLError) and error.original_error is not None:
        error = error.original_error
    return error


def _code_of_syntax(error: GraphQLSyntaxError) -> str:
    # The parser tells its own limit apart from a syntax error by the message only.
    too_long = error.message.startswith("Syntax Error: Document contains more than")
    return OperationTooCostly.code if too_long else "GRAPHQL_PARSE_FAILED"


def _blames_input(error: GraphQLError) -> bool:
    """An error at a variable's definition or at an argument is the client's; at a field, ours."""
    nodes = error.nodes or ()
    if error.path is None:
        return any(isinstance(node, VariableDefinitionNode) for node in nodes)
    return bool(nodes) and not any(isinstance(node, FieldNode) for node in nodes)


def _masked(error: GraphQLError) -> GraphQLError:
    error_id = new_id()
    _log.error("internal error", error_id=error_id, path=error.path, exc_info=origin_of(error))
    return _like(error, CodedError.default_message, {"code": INTERNAL, "errorId": error_id})


def _like(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
