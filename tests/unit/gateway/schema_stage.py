"""A stage for the schema: real stores on files, and write services over HTTP that are scripted.

The services answer in the shapes of the kernel's service application; what they were asked is kept.
Freshness is a plain record of what resolvers told and asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import msgspec
import strawberry
from graphql import GraphQLSchema
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from contracts.documents.customers import CUSTOMERS_COLLECTION
from contracts.documents.order_search import ORDER_SEARCH_INDEX
from contracts.documents.orders import ORDERS_COLLECTION
from contracts.documents.products import PRODUCTS_COLLECTION
from contracts.read_models import ORDERS_MODEL, READ_MODELS
from contracts.timestamps import to_text
from gateway.freshness.directives import CLIENT_DIRECTIVES
from gateway.freshness.served import ServedFrom
from gateway.identity import global_id
from gateway.readers import Readers
from gateway.request import Request
from gateway.schema.mutations import Mutation
from gateway.schema.query import Query
from gateway.schema.subscription import Subscription
from gateway.services import Services
from slackwater.clock import SystemClock
from slackwater.event_log.port import TopicPartition
from slackwater.events.event import Cause
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import Reading
from slackwater.freshness.token import ConsistencyToken, TokenSigner
from slackwater.http.problems import json_response, problem
from slackwater.read_models.documents import Collection, Document, RowWrite
from slackwater.read_models.progress import ModelVersion, ProgressUpdate
from slackwater.read_models.search import Index
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.sqlite_search import SqliteSearchIndex
from slackwater.testing.doorbell import LocalDoorbell
from slackwater.watermarks.tick import Tick

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SIGNER = TokenSigner(b"secret of the tests")
_PLACE = TopicPartition("orders.events", 0)


def euros(minor: int) -> dict[str, Any]:
    return {"minor": minor, "currency": "EUR"}


def order_document(number: int, customer_id: str = "c1", status: str = "APPROVED") -> Document:
    """An order placed `number` minutes after noon."""
    placed_at = to_text(NOON + timedelta(minutes=number))
    return {
        "id": f"o{number:03}",
        "customer_id": customer_id,
        "status": status,
        "rejection_reason": "OUT_OF_STOCK" if status == "REJECTED" else None,
        "lines": [
            {
                "sku": "ANVIL",
                "product_name": "Anvil",
                "quantity": 2,
                "unit_price": euros(number),
                "total": euros(2 * number),
            }
        ],
        "total": euros(2 * number),
        "note": None,
        "placed_at": placed_at,
        "updated_at": placed_at,
        "processing": {
            "since": placed_at,
            "deadline": to_text(NOON + timedelta(hours=1)),
            "credit": "AGREED",
            "stock": "WAITING",
        },
    }


def customer_state(customer_id: str = "c1", name: str = "Acme") -> Document:
    """A customer as its own service knows it."""
    return {
        "id": customer_id,
        "name": name,
        "email": f"{customer_id}@example.com",
        "credit_limit": euros(100_00),
        "credit_reserved": euros(30_05),
        "created_at": to_text(NOON),
    }


def customer_document(
    orders: list[Document], *, count: int | None = None, **state: str
) -> Document:
    """A customer with orders given newest first, as its read model holds it."""
    return {
        **customer_state(**state),
        "orders": orders,
        "order_count": len(orders) if count is None else count,
        "order_total_minor": {"EUR": sum(order["total"]["minor"] for order in orders), "USD": 7},
    }


def product_document(sku: str) -> Document:
    return {
        "id": sku,
        "sku": sku,
        "name": f"Product {sku}",
        "description": "A thing",
        "price": euros(1_00),
        "stock_available": 3,
    }


@dataclass
class Served:
    """What a resolver told of one field."""

    path: list[str | int]
    read_model: str | None
    sources: tuple[str, ...]
    served_from: ServedFrom
    complete: bool = True


@dataclass
class RecordedFreshness:
    """Implements `RequestFreshness` by keeping what is told; `to_source` names response paths."""

    board: FreshnessBoard
    to_source: set[str] = field(default_factory=set)
    event_was_refused: bool = False
    requires_any: bool = False
    too_stale: tuple[str, ...] = ()
    read: list[str] = field(default_factory=list)
    records: list[Served] = field(default_factory=list)
    absences: list[str] = field(default_factory=list)

    def reading(self, read_model: str) -> Reading:
        self.read.append(read_model)
        return self.board.reading(read_model)

    def asks_source(self, info: strawberry.Info[Any, Any]) -> bool:
        keys = [key for key in info.path.as_list() if isinstance(key, str)]
        return ".".join(keys) in self.to_source

    def served(
        self,
        info: strawberry.Info[Any, Any],
        *,
        read_model: str | None,
        sources: tuple[str, ...],
        served_from: ServedFrom,
        complete: bool = True,
        **_: Any,
    ) -> None:
        path = info.path.as_list()
        self.records.append(Served(path, read_model, sources, served_from, complete))

    def absent(self, info: strawberry.Info[Any, Any]) -> None:
        self.absences.append(".".join(str(key) for key in info.path.as_list()))

    def read_member(self, _info: Any, type_name: str, _origin: Any) -> None:
        """Every member may be shown."""

    async def settled_event(self) -> bool:
        return True

    def may_show_event(self) -> bool:
        return True

    async def settled_reading(
        self,
        info: strawberry.Info[Any, Any],
        *,
        read_model: str,
        sources: tuple[str, ...],
        key: str | None = None,
    ) -> Reading:
        if read_model in self.too_stale:
            self.to_source.add(".".join(str(key) for key in info.path.as_list()))
        return self.reading(read_model)

    def now_s(self) -> float:
        return SystemClock().monotonic()


@dataclass
class Asked:
    """One request that a service got."""

    service: str
    name: str
    body: Any
    parameters: dict[str, str]
    headers: dict[str, str]


class ScriptedServices:
    """Answers commands and queries as they were set, by name; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.trouble: httpx2.HTTPError | None = None
        self._answers: dict[str, Response | Any] = {}
        self.app = Starlette(
            routes=[
                Route("/commands/{name}", self._command, methods=["POST"]),
                Route("/queries/{name}", self._query),
            ]
        )

    def on_command(self, name: str, result: Any, source: str = "orders") -> None:
        tick = {"source": source, "epoch": 1, "n": 5, "timeline": ""}
        self._answers[name] = json_response({"result": result, "tick": tick})

    def on_repeat(self, name: str, result: Any, source: str = "orders") -> None:
        """Answer as a service does that has done the command before."""
        tick = {"source": source, "epoch": 1, "n": 5, "timeline": ""}
        answer = {"result": result, "tick": tick, "recorded_at": to_text(NOON)}
        self._answers[name] = json_response(answer)

    def on_refusal(self, name: str, code: str, **details: Any) -> None:
        tick = {"source": "orders", "epoch": 1, "n": 5, "timeline": ""}
        self._answers[name] = problem(409, code, f"No: {code}.", details=details, tick=tick)

    def on_problem(self, name: str, status: int, code: str) -> None:
        self._answers[name] = problem(status, code, "it is so")

    def on_query(self, name: str, answer: Any) -> None:
        self._answers[name] = json_response(answer)

    def last(self) -> Asked:
        return self.asked[-1]

    async def _command(self, request: HttpRequest) -> Response:
        body = msgspec.json.decode(await request.body())
        return self._answer(request, body)

    async def _query(self, request: HttpRequest) -> Response:
        return self._answer(request, None)

    def _answer(self, request: HttpRequest, body: Any) -> Response:
        if self.trouble is not None:
            raise self.trouble
        name = request.path_params["name"]
        parameters, headers = dict(request.query_params), dict(request.headers)
        self.asked.append(Asked(request.url.hostname or "", name, body, parameters, headers))
        answer: Response = self._answers.get(name) or problem(404, "NOT_FOUND", "nothing")
        return answer


class Stage:
    """Everything that an operation needs, and ways to fill it."""

    def __init__(
        self, documents: SqliteDocumentStore, search: SqliteSearchIndex, http: httpx2.AsyncClient
    ) -> None:
        self.documents = documents
        self.search = search
        self.board = FreshnessBoard(READ_MODELS, SystemClock())
        self.http = http
        self.services = ScriptedServices()
        self.freshness = RecordedFreshness(self.board)
        self.schema = _schema()

    async def write(self, collection: str, *documents: Document, version: int = 1) -> None:
        """Write documents as a projector would; those that exist are replaced."""
        rows = await self.documents.get(collection, [one["id"] for one in documents])
        writes = [
            RowWrite(
                collection=collection,
                id=one["id"],
                version=version,
                expected_revision=rows[one["id"]].revision if one["id"] in rows else 0,
                document=one,
            )
            for one in documents
        ]
        await self._commit(writes)

    async def orders(self, *documents: Document) -> None:
        await self.write(_stored(ORDERS_COLLECTION).name, *documents)

    async def customers(self, *documents: Document, version: int = 1) -> None:
        await self.write(_stored(CUSTOMERS_COLLECTION).name, *documents, version=version)

    async def products(self, *documents: Document) -> None:
        await self.write(_stored(PRODUCTS_COLLECTION).name, *documents)

    async def rebuilt_orders(self, *documents: Document) -> None:
        """Build the second version of the orders in one batch, and switch to it."""
        first, second = (ModelVersion(ORDERS_MODEL.name, version) for version in (1, 2))
        collection = replace(ORDERS_COLLECTION, name=second.stored_name(ORDERS_COLLECTION.name))
        progress = self.documents.progress
        await self.documents.prepare([collection])
        await progress.register(second)
        position = (await progress.claim(first, [_PLACE])).positions[_PLACE]
        applied = self.board.applied(ORDERS_MODEL.name)
        claim = await progress.claim(second, [_PLACE])
        await self.documents.commit(
            [
                RowWrite(
                    collection=collection.name,
                    id=one["id"],
                    version=1,
                    expected_revision=0,
                    document=one,
                )
                for one in documents
            ],
            ProgressUpdate(claim=claim, positions={_PLACE: position}, events_applied=applied),
        )
        assert await progress.activate(second)
        self.board.on_progress(await progress.load())

    async def index(self, kind: str, key: str, title: str) -> None:
        """Make something findable."""
        document = {"id": f"{kind}:{key}", "kind": kind, "title": title}
        row = RowWrite(
            collection=_stored(ORDER_SEARCH_INDEX).name,
            id=document["id"],
            version=1,
            expected_revision=0,
            document=document,
        )
        await self.search.write(_stored(ORDER_SEARCH_INDEX).name, [row])

    def request(self, **options: Any) -> Request:
        freshness: Any = self.freshness
        return Request(
            readers=Readers(self.documents, self.search, freshness),
            services=Services(self.http, {name: f"http://{name}" for name in _SERVICES}),
            board=self.board,
            signer=SIGNER,
            cause=Cause(correlation_id="corr-1", actor="tester", traceparent="00-aa-bb-01"),
            freshness=freshness,
            **options,
        )

    async def ask(self, query: str, request: Request | None = None, **variables: Any) -> Any:
        """Execute an operation that must succeed and return its data."""
        result = await self.execute(query, request, variables)
        assert result.errors is None, result.errors
        return result.data

    async def codes(self, query: str, request: Request | None = None, **variables: Any) -> Any:
        """Execute an operation and return the codes of its errors."""
        result = await self.execute(query, request, variables)
        return [(error.extensions or {}).get("code") for error in result.errors or ()]

    async def subscribe(
        self, query: str, request: Request | None = None, **variables: Any
    ) -> AsyncIterator[Any]:
        """Yield the results of a subscription."""
        results = await self.schema.subscribe(
            query, context_value=request or self.request(), variable_values=variables
        )
        async for result in results:
            yield result

    async def execute(self, query: str, request: Request | None, variables: Any) -> Any:
        return await self.schema.execute(
            query, context_value=request or self.request(), variable_values=variables
        )

    async def _commit(self, writes: list[RowWrite]) -> None:
        progress = self.documents.progress
        claims = [await progress.claim(ModelVersion(model.name), [_PLACE]) for model in READ_MODELS]
        for number, claim in enumerate(claims):
            position = claim.positions[_PLACE] + 1
            update = ProgressUpdate(claim=claim, positions={_PLACE: position}, events_applied=1)
            await self.documents.commit(writes if number == 0 else [], update)
        self.board.on_progress(await progress.load())


StoredT = TypeVar("StoredT", Collection, Index)
_SERVICES = ("customers", "inventory", "orders")


def _stored(kept: StoredT) -> StoredT:
    """Return the collection or index as the first version of its read model names it."""
    return replace(kept, name=ModelVersion("any").stored_name(kept.name))


def _schema() -> strawberry.Schema:
    schema = strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription)
    core: GraphQLSchema = schema._schema
    core.directives = (*core.directives, *CLIENT_DIRECTIVES)
    return schema


@asynccontextmanager
async def staged(tmp_path: Path) -> AsyncIterator[Stage]:
    """Yield an empty stage; leaving the context closes its files."""
    documents = SqliteDocumentStore(tmp_path / "documents.db", LocalDoorbell())
    search = SqliteSearchIndex(tmp_path / "search.db")
    collections = [CUSTOMERS_COLLECTION, ORDERS_COLLECTION, PRODUCTS_COLLECTION]
    await documents.prepare([*map(_stored, collections)])
    await search.prepare(_stored(ORDER_SEARCH_INDEX))
    for model in READ_MODELS:
        await documents.progress.register(ModelVersion(model.name))
    services = ScriptedServices()
    transport = httpx2.ASGITransport(app=services.app)
    async with httpx2.AsyncClient(transport=transport) as http:
        stage = Stage(documents, search, http)
        stage.services = services
        yield stage
    await documents.close()
    await search.close()


def customer_id(key: str = "c1") -> str:
    return global_id("Customer", key)


def order_id(number: int) -> str:
    return global_id("Order", f"o{number:03}")


def node_ids(connection: dict[str, Any]) -> list[str]:
    return [edge["node"]["id"] for edge in connection["edges"]]


def token_of(n: int, source: str = "inventory") -> ConsistencyToken:
    return ConsistencyToken(ticks={source: Tick(1, n)})


def newest_first(numbers: Iterator[int] | range) -> list[Document]:
    return [order_document(number) for number in sorted(numbers, reverse=True)]
