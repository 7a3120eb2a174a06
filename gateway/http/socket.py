"""GraphQL over WebSocket: the graphql-transport-ws protocol, an operation a request of its own.

Strawberry's handler gives all operations of a connection one context, forgets their `extensions`
and closes the whole connection on a syntax error. Here every operation has its own context, so that
freshness and consistency tokens are those of the operation, and errors stay with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from starlette.datastructures import Headers
from starlette.websockets import WebSocket
from strawberry.http import GraphQLRequestData
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    Message,
    SubscribeMessage,
)
from strawberry.types import ExecutionResult

from gateway.http.answer import is_request_error
from gateway.http.parameters import checked
from gateway.http.refusal import PersistedQueryNotFound, Refusal
from gateway.http.request_head import cause_of, overlaid
from gateway.http.shown_error import shown
from gateway.request import Request
from slackwater.events.event import Cause
from slackwater.logs import bound

if TYPE_CHECKING:
    from gateway.http.graphql_app import GraphQLApp

# The task of an operation starts with a copy of the context in which its message was handled.
_extensions: ContextVar[dict[str, Any] | None] = ContextVar("extensions", default=None)

SocketOperation = Operation[Request | None, None]


class OperationSocket(BaseGraphQLTransportWSHandler[Request | None, None]):
    """One connection, with any number of operations at once up to the limit."""

    _payload: dict[str, object] | None = None

    async def handle_message(self, message: Message) -> None:
        """Handle a message of the client; close the connection if it is none of the protocol's."""
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            await self.handle_invalid_message("a message must be an object with a type")
        else:
            await super().handle_message(message)

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Remember what the client says in place of headers."""
        payload = message.get("payload")
        if payload is None:
            message = {"type": "connection_init"}
        elif isinstance(payload, dict):
            self._payload = payload
        await super().handle_connection_init(message)

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Start an operation."""
        try:
            _extensions.set(_parameters_of(message).extensions)
        except PersistedQueryNotFound as refusal:
            await self._refuse(message["id"], refusal)
        except Refusal as refusal:
            await self.handle_invalid_message(refusal.message)
        else:
            await super().handle_subscribe(message)

    async def _refuse(self, operation_id: str, refusal: Refusal) -> None:
        """Refuse one operation and keep the connection, once there is one."""
        if not self.connection_acknowledged:
            await self.websocket.close(code=4401, reason="Unauthorized")
            return
        await self.send_message(
            {"id": operation_id, "type": "error", "payload": [refusal.formatted]}
        )

    async def run_operation(self, operation: SocketOperation) -> None:
        """Execute an operation and send its results."""
        connection: WebSocket = cast("Any", self.websocket).ws
        headers = overlaid(connection.headers, self._payload or {})
        cause = cause_of(headers)
        with bound(cause), suppress(WebSocketDisconnected):
            try:
                await self._run(operation, connection, headers, cause)
            except Exception as error:
                await operation.send_initial_errors([shown(error)])

    async def _run(
        self, operation: SocketOperation, connection: WebSocket, headers: Headers, cause: Cause
    ) -> None:
        app = cast("GraphQLApp", self.view)
        results = await self.schema.stream(
            operation.query,
            variable_values=operation.variables,
            context_value=app.request_of(connection, headers, cause),
            operation_name=operation.operation_name,
            operation_extensions=_extensions.get(),
        )
        async with aclosing(results):
            async for result in results:
                await _send(operation, cast("ExecutionResult", result))
        await operation.send_operation_message({"id": operation.id, "type": "complete"})


def _parameters_of(message: Mapping[str, object]) -> GraphQLRequestData:
    if not isinstance(message["id"], str):
        raise Refusal("an operation's id must be a string")
    return checked(message["payload"])


async def _send(operation: SocketOperation, result: ExecutionResult) -> None:
    errors = [shown(error) for error in result.errors or ()]
    if is_request_error(result):
        await operation.send_initial_errors(errors)
    else:
        await operation.send_next(ExecutionResult(result.data, errors, result.extensions))
