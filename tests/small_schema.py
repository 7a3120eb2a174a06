"""A small schema of the gateway's shape, to test its HTTP, WebSocket and page without the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

import httpx2
import strawberry
from starlette.applications import Starlette
from strawberry.directive import DirectiveLocation, DirectiveValue
from strawberry.extensions import SchemaExtension
from strawberry.types import Info

from gateway.errors import BadUserInput
from gateway.http.graphql_app import GraphQLApp
from gateway.http.limits import Limits
from gateway.http.request_head import RequestFactory, RequestHead
from gateway.http.routes import graphql_routes
from gateway.request import Request
from slackwater.freshness.token import ConsistencyToken, TokenSigner
from slackwater.watermarks.tick import Tick

SIGNER = TokenSigner(b"secret of the tests")
TOKEN = ConsistencyToken(ticks={"customers": Tick(1, 7)}, versions={"c1": 3})


@strawberry.enum
class OnStale(Enum):
    SERVE = "SERVE"
    WAIT = "WAIT"


@strawberry.directive(locations=[DirectiveLocation.QUERY], name="freshness")
def demand_freshness(
    value: DirectiveValue[Any],
    max_staleness_ms: int,
    on_stale: OnStale = OnStale.SERVE,
    timeout_ms: int = 1_000,
) -> Any:
    return value


@strawberry.type
class Freshness:
    status: str = "LIVE"
    max_staleness_ms: int = 84
    as_of: str = "2026-11-24T00:00:00Z"
    served_from: str = "READ_MODEL"


@strawberry.type
class Money:
    amount: str = "12.50"
    currency: str = "EUR"


@strawberry.type
class Order:
    id: strawberry.ID = strawberry.ID("o1")
    status: str = "APPROVED"
    total: Money = field(default_factory=Money)

    @strawberry.field
    def customer(self) -> Customer:
        return Customer()


@strawberry.type
class OrderEdge:
    node: Order = field(default_factory=Order)


@strawberry.type
class OrderConnection:
    edges: list[OrderEdge] = field(default_factory=lambda: [OrderEdge()])


@strawberry.type
class Customer:
    id: strawberry.ID = strawberry.ID("c1")
    name: str = "Ada's Boatyard"
    credit_available: Money = field(default_factory=Money)
    freshness: Freshness = field(default_factory=Freshness)

    @strawberry.field
    def orders(self, first: int = 20) -> OrderConnection:
        return OrderConnection()


@strawberry.type
class CustomerEdge:
    node: Customer = field(default_factory=Customer)


@strawberry.type
class CustomerConnection:
    edges: list[CustomerEdge] = field(default_factory=lambda: [CustomerEdge()])


@strawberry.type
class ReadModelStatus:
    name: str = "customer_orders"
    status: str = "LIVE"
    max_staleness_ms: int = 84
    lag_events: int = 0


@strawberry.type
class Query:
    @strawberry.field
    def customers(self, first: int = 20) -> CustomerConnection:
        return CustomerConnection()

    @strawberry.field
    def orders(self, first: int = 20) -> OrderConnection:
        return OrderConnection()

    @strawberry.field
    def echo(self, text: str, times: int = 1) -> str:
        return text * times

    @strawberry.field
    def correlation_id(self, info: Info[Request, None]) -> str:
        return info.context.cause.correlation_id

    @strawberry.field
    def refusal(self) -> str | None:
        raise BadUserInput("no such thing; ask for another", extensions={"thing": 1})

    @strawberry.field
    def explosion(self) -> str | None:
        raise RuntimeError("the password is hunter2")

    @strawberry.field
    def required_explosion(self) -> str:
        raise RuntimeError("the password is hunter2")

    @strawberry.field
    async def eternity(self) -> str:
        await asyncio.Event().wait()
        return "never"


@strawberry.type
class Mutation:
    @strawberry.mutation
    def write(self, info: Info[Request, None]) -> str:
        info.context.written = info.context.written.merge(TOKEN)
        return "written"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int = 3) -> AsyncIterator[int]:
        for number in range(to):
            yield number

    @strawberry.subscription
    async def failing(self) -> AsyncIterator[int]:
        yield 1
        raise RuntimeError("the password is hunter2")

    @strawberry.subscription
    async def silence(self) -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 0

    @strawberry.subscription
    async def read_model_progress(self) -> AsyncIterator[ReadModelStatus]:
        yield ReadModelStatus()
        await asyncio.Event().wait()


class TellsFreshness(SchemaExtension):
    def get_results(self) -> dict[str, Any]:
        told = {"status": "LIVE", "maxStalenessMs": 84}
        asked = self.execution_context.operation_extensions
        return {
            "freshness": {"version": 1, "readModels": {"customer_orders": told}, "asked": asked}
        }


schema = strawberry.Schema(
    Query,
    Mutation,
    Subscription,
    directives=[demand_freshness],
    extensions=[TellsFreshness],
)


@dataclass
class Heads:
    """A request factory that remembers the heads that it was given."""

    heads: list[RequestHead] = field(default_factory=list)

    def __call__(self, head: RequestHead) -> Request:
        self.heads.append(head)
        nothing = cast("Any", None)
        return Request(
            readers=nothing,
            services=nothing,
            board=nothing,
            signer=SIGNER,
            cause=head.cause,
            freshness=nothing,
            idempotency_key=head.idempotency_key,
            read_after=head.read_after,
        )


def small_app(heads: RequestFactory | None = None, limits: Limits | None = None) -> Starlette:
    """Return the gateway's routes over the small schema."""
    graphql = GraphQLApp(schema, request_factory=heads or Heads(), signer=SIGNER, limits=limits)
    return Starlette(routes=graphql_routes(graphql))


def client_of(app: Starlette) -> httpx2.AsyncClient:
    """Return a client of the application, without a network."""
    transport = httpx2.ASGITransport(app=app)
    return httpx2.AsyncClient(transport=transport, base_url="http://gateway")
