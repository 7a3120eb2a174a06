"""The gateway's application: the schema over HTTP and WebSocket, with the process's health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette

from contracts.read_models import READ_MODELS
from gateway.freshness.asked import HEADER
from gateway.freshness.operation import OperationFreshness
from gateway.http.graphql_app import GraphQLApp
from gateway.http.request_head import RequestFactory, RequestHead
from gateway.http.routes import graphql_routes
from gateway.rate_meter import RateMeter, rebuilding
from gateway.readers import Readers
from gateway.request import Request
from gateway.schema.schema import make_schema, sdl
from gateway.services import Services, service_client
from slackwater.gateway import GatewayDefinition, GatewayParts
from slackwater.http.health import health_routes

_METER_INTERVAL_S = 1.0


@asynccontextmanager
async def app(parts: GatewayParts) -> AsyncIterator[Starlette]:
    """Yield the ASGI application; leaving the context closes its connections."""
    meter = RateMeter()
    metering = asyncio.create_task(_sample(meter, parts))
    async with service_client() as client:
        services = Services(client, parts.service_urls)
        graphql = GraphQLApp(
            make_schema(),
            request_factory=_request_factory(parts, services, meter),
            signer=parts.signer,
        )
        yield Starlette(routes=[*graphql_routes(graphql), *health_routes(parts.problems)])
    metering.cancel()
    with suppress(asyncio.CancelledError):
        await metering


def _request_factory(parts: GatewayParts, services: Services, meter: RateMeter) -> RequestFactory:
    def make(head: RequestHead) -> Request:
        freshness = OperationFreshness(
            board=parts.board,
            signer=parts.signer,
            clock=parts.clock,
            header=head.headers.get(HEADER),
            lagging_after_ms=parts.settings.lagging_after_ms,
        )
        return Request(
            readers=Readers(parts.documents, parts.search, freshness),
            services=services,
            board=parts.board,
            signer=parts.signer,
            cause=head.cause,
            freshness=freshness,
            meter=meter,
            idempotency_key=head.idempotency_key,
            read_after=head.read_after,
        )

    return make


async def _sample(meter: RateMeter, parts: GatewayParts) -> None:
    """Feed the meter with how many events each read model has applied."""
    while True:
        for read_model in READ_MODELS:
            now_s = parts.clock.monotonic()
            meter.sample(read_model.name, now_s, parts.board.applied(read_model.name))
            rebuild = parts.board.rebuild(read_model.name)
            if rebuild is not None:
                meter.sample(rebuilding(read_model.name), now_s, rebuild.events_done)
        await asyncio.sleep(_METER_INTERVAL_S)


gateway = GatewayDefinition(read_models=READ_MODELS, app=app, sdl=sdl)
