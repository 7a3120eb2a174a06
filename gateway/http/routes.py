"""The addresses of GraphQL and of its page for browsers."""

from __future__ import annotations

from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.graphiql import page, static_files, wants_page


def graphql_routes(graphql: ASGIApp) -> list[BaseRoute]:
    """Return the routes of `/graphql`, of its page's files, and from `/` to it."""
    return [
        Route("/", _to_graphql),
        Route("/graphql", _PageOrGraphQL(graphql)),
        WebSocketRoute("/graphql", graphql),
        Mount("/static/graphiql", static_files()),
    ]


async def _to_graphql(_: HttpRequest) -> Response:
    return RedirectResponse("graphql")


class _PageOrGraphQL:
    def __init__(self, graphql: ASGIApp) -> None:
        self._graphql = graphql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answering = page() if wants_page(HttpRequest(scope)) else self._graphql
        await answering(scope, receive, send)
