"""`/livez`, `/readyz` and `/metrics`, the same on every process."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from slackwater.http.problems import json_response, problem

Problems = Callable[[], list[str]]
"""Returns what keeps a part from being ready, in words; nothing when it is ready."""


def health_routes(problems: Problems) -> list[Route]:
    """Return the routes that operators and load balancers ask."""

    async def livez(_: Request) -> Response:
        return json_response({"status": "alive"})

    async def readyz(_: Request) -> Response:
        found = problems()
        if found:
            return problem(503, "NOT_READY", "; ".join(found), headers={"Retry-After": "1"})
        return json_response({"status": "ready"})

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]


def health_app(problems: Problems) -> Starlette:
    """Return an application that serves nothing else, for parts without one of their own."""
    return Starlette(routes=health_routes(problems))
