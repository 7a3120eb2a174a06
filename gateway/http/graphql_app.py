"""GraphQL over HTTP, as its specification has it, and over WebSocket.

Guarantees: every failed answer carries a code; nothing unforeseen is shown to a client, only the id
under which it is logged; no request makes the gateway hold, execute or wait without a bound; and
who has written learns the token of the write from the header of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from cross_web import AsyncHTTPRequestAdapter
from graphql import GraphQLError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry import Schema
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.http.base import BaseRequestProtocol
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult, SubscriptionExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from gateway.http import answer
from gateway.http.body import bounded
from gateway.http.guarded_schema import GuardedSchema
from gateway.http.limits import Limits
from gateway.http.media_type import MediaType, negotiated
from gateway.http.parameters import parameters_of
from gateway.http.refusal import Refusal
from gateway.http.request_head import (
    CONSISTENCY_TOKEN,
    CORRELATION_ID,
    RequestFactory,
    cause_of,
    head_of,
)
from gateway.http.shown_error import shown
from gateway.http.socket import OperationSocket
from gateway.request import Request
from slackwater.events.event import Cause
from slackwater.freshness.token import TokenSigner
from slackwater.http.problems import CLIENT_CLOSED_REQUEST
from slackwater.logs import bound

_OPERATIONS_BY_METHOD = {
    "GET": {OperationType.QUERY},
    "POST": {OperationType.QUERY, OperationType.MUTATION},
}


class GraphQLApp(GraphQL[Request | None, None]):
    """The ASGI application behind `/graphql`: POST, GET, server-sent events and WebSocket."""

    graphql_transport_ws_handler_class = OperationSocket

    def __init__(
        self,
        schema: Schema,
        *,
        request_factory: RequestFactory,
        signer: TokenSigner,
        limits: Limits | None = None,
        allowed_origins: Sequence[str] = (),
    ) -> None:
        """Serve a schema; `request_factory` makes the context of each operation.

        Pages of `allowed_origins` may open a WebSocket beside pages of our own.
        """
        self._limits = limits or Limits()
        self._request_factory = request_factory
        self._signer = signer
        super().__init__(
            GuardedSchema(schema, self._limits),
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            max_subscriptions_per_connection=self._limits.operations_per_socket_max,
            allowed_origins=allowed_origins,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        http = HttpRequest(scope, bounded(receive, self._limits.body_bytes_max))
        cause = cause_of(http.headers)
        with bound(cause):
            response = await self._answer(http, cause)
            response.headers[CORRELATION_ID] = cause.correlation_id
            await response(scope, receive, send)

    def request_of(self, connection: HTTPConnection, headers: Headers, cause: Cause) -> Request:
        """Return the context of one operation."""
        return self._request_factory(head_of(connection, headers, cause, self._signer))

    async def _answer(self, http: HttpRequest, cause: Cause) -> Response:
        try:
            _check_method(http.method)
            return await self.run(http, context=self.request_of(http, http.headers, cause))
        except ClientDisconnect:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        except Exception as error:
            return answer.refused(shown(error), http.headers.get("accept", ""))

    def should_render_graphql_ide(self, request: BaseRequestProtocol) -> bool:
        """The page for browsers is served beside this application, not by it."""
        return False

    async def get_context(self, request: object, response: object) -> None:
        """Over WebSocket every operation has a context of its own, the connection has none."""

    async def get_sub_response(self, request: HttpRequest) -> Response:  # type: ignore[override]
        """Begin the response: its media type is known before its body."""
        begun = await super().get_sub_response(request)
        begun.media_type = negotiated(request.headers.get("accept"))
        return begun

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData:
        """Read the operation from the request."""
        http: HttpRequest = request._request  # type: ignore[attr-defined]  # noqa: SLF001
        events = negotiated(http.headers.get("accept")) is MediaType.EVENTS
        return await parameters_of(http, self._limits, "sse" if events else "http")

    async def execute_operation(  # type: ignore[override]
        self,
        request: HttpRequest,
        request_adapter: AsyncHTTPRequestAdapter,
        request_data: GraphQLRequestData,
        context: Request,
        root_value: None,
        sub_response: Response,
    ) -> ExecutionResult | SubscriptionExecutionResult:
        """Execute the operation, and put into the response's head what came of it."""
        if request_data.protocol == "sse":
            return await super().execute_operation(  # type: ignore[return-value]
                request, request_adapter, request_data, context, root_value, sub_response
            )
        result = await self._executed(request_data, context, request.method)
        result.errors = [shown(error) for error in result.errors or ()]
        sub_response.status_code = answer.status_for(result, sub_response.media_type)
        if context.written.ticks or context.written.versions:
            sub_response.headers[CONSISTENCY_TOKEN] = self._signer.encode(context.written)
        return result

    async def _executed(
        self, operation: GraphQLRequestData, context: Request, method: str
    ) -> ExecutionResult:
        try:
            return await self.schema.execute(
                operation.query,
                variable_values=operation.variables,
                context_value=context,
                operation_name=operation.operation_name,
                allowed_operation_types=_OPERATIONS_BY_METHOD[method],
                operation_extensions=operation.extensions,
            )
        except CannotGetOperationTypeError as error:
            return _unresolved(error)
        except InvalidOperationTypeError as error:
            raise _misplaced(error.operation_type) from error

    async def process_result(
        self, request: HttpRequest, result: ExecutionResult
    ) -> GraphQLHTTPResponse:
        """Return the body of one result."""
        return answer.body_of(result)

    def create_response(
        self,
        response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse],
        sub_response: Response,
    ) -> Response:
        """Return the response with its body."""
        media_type = sub_response.media_type or MediaType.JSON
        response = answer.response(response_data, sub_response.status_code, media_type)
        response.headers.raw.extend(sub_response.headers.raw)
        return response

    def encode_json(self, data: object) -> str:
        """Return the text of a WebSocket message or an event; the protocols want no bytes."""
        return answer.encoded(data).decode()

    def decode_json(self, data: str | bytes) -> object:
        return orjson.loads(data)


def _check_method(method: str) -> None:
    if method not in _OPERATIONS_BY_METHOD:
        raise _not_allowed("GET, POST")


def _unresolved(error: CannotGetOperationTypeError) -> ExecutionResult:
    message = f"{error.as_http_error_reason()} Name an operation of the document."
    return PreExecutionError(None, [GraphQLError(message, original_error=error)])


def _misplaced(operation_type: OperationType) -> Refusal:
    if operation_type is OperationType.SUBSCRIPTION:
        return Refusal("a subscription needs a WebSocket, or accept text/event-stream")
    return _not_allowed("POST")


def _not_allowed(methods: str) -> Refusal:
    message = f"the method is not allowed for this; use {methods}"
    return Refusal(message, status=405, headers={"Allow": methods})
