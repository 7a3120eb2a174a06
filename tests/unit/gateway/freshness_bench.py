"""A small store with a board fed by hand, to see what the gateway says of freshness."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import strawberry
from msgspec.structs import replace
from strawberry.types import ExecutionResult

from gateway.errors import SourceUnavailable
from gateway.freshness.operation import OperationFreshness
from gateway.freshness.schema import freshness_schema
from gateway.freshness.served import ServedFrom
from gateway.freshness.types import Freshness, describe, describe_object
from gateway.projected import LookUp, Projection, projected, reads
from slackwater.event_log.port import TopicPartition
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import Instant
from slackwater.freshness.token import ConsistencyToken, TokenSigner
from slackwater.read_models.dead_letters import Hole
from slackwater.read_models.progress import ModelVersion, ReadModelProgress, ReadModelState
from slackwater.read_models.read_model import ReadModel
from slackwater.testing.clock import ManualClock
from slackwater.watermarks.record import Watermark
from slackwater.watermarks.tick import Tick

MODELS = (
    ReadModel(
        name="customer_orders",
        topics={"customers": ("customers",), "orders": ("orders",)},
        keyed={"customers": 2, "orders": 2},
    ),
    ReadModel(name="orders", topics={"orders": ("orders",)}),
    ReadModel(name="products", topics={"inventory": ("products",)}),
    ReadModel(
        name="order_search",
        topics={"customers": ("customers",), "orders": ("orders",), "inventory": ("products",)},
    ),
)
VERSIONS = {"customer_orders": 3}
TOPIC = {"customers": "customers", "orders": "orders", "inventory": "products"}
SIGNER = TokenSigner(b"the secret of the bench")

CUSTOMER = Projection(read_model="customer_orders", sources=("customers",), reads=True)
CUSTOMER_BY_ID = replace(
    CUSTOMER, looks_up=LookUp(argument="id", key_of=lambda id_, _: id_ or None)
)
ORDERS_OF = Projection(
    read_model="customer_orders",
    sources=("orders",),
    reads=True,
    same_document=True,
    or_from=(("orders", ("orders",)),),
)
ORDER_OR_PAST = Projection(
    read_model="orders", sources=("orders",), reads=True, source_if=("asOf",)
)
FOLLOWED = Projection(
    read_model="customer_orders", sources=("customers",), reads=True, source_answers=False
)
LIST = Projection(
    read_model="customer_orders", sources=("customers",), reads=True, source_answers=False
)
SEARCH = Projection(
    read_model="order_search",
    sources=("customers", "orders", "inventory"),
    reads=True,
    source_answers=False,
)
FOUND = Projection(
    read_model="order_search",
    sources=("customers", "orders", "inventory"),
    reads=True,
    source_answers=False,
    reads_by_type={
        "Order": ("orders", ("orders",)),
        "Product": ("products", ("inventory",)),
        "Customer": ("customer_orders", ("customers",)),
    },
)

Info = strawberry.Info[Any, Any]


def of_customer(path: str, source: str = "customers") -> Any:
    return projected(path, read_model="customer_orders", sources=[source])


def of_order(path: str) -> Any:
    return projected(path, read_model="orders", sources=["orders"])


@strawberry.type
class Order:
    document: strawberry.Private[dict[str, Any]]
    id: strawberry.ID = of_order("id")
    status: str = of_order("status")
    note: str | None = of_order("note")

    @strawberry.field(**reads(CUSTOMER))
    async def customer(
        self, info: Info
    ) -> Annotated[Customer, strawberry.lazy("tests.unit.gateway.freshness_bench")] | None:
        return await info.context.customer(info, "c1")


@strawberry.type
class Product:
    document: strawberry.Private[dict[str, Any]]
    id: strawberry.ID = projected("id", read_model="products", sources=["inventory"])
    blurb: str | None = projected("blurb", read_model="products", sources=["inventory"])


@strawberry.type
class OrderEdge:
    node: Order
    cursor: str = "here"


@strawberry.type
class OrderConnection:
    edges: list[OrderEdge]


@strawberry.type
class Customer:
    document: strawberry.Private[dict[str, Any]]
    id: strawberry.ID = of_customer("id")
    name: str = of_customer("name")
    nick: str | None = of_customer("nick")
    order_count: int = of_customer("order_count", "orders")
    last_order: str | None = of_customer("last_order", "orders")

    @strawberry.field(**reads(ORDERS_OF))
    async def orders(self, info: Info) -> OrderConnection:
        return await info.context.orders(info, self.document["id"])

    @strawberry.field
    def freshness(self, info: Info, field: str | None = None) -> Freshness:
        return describe_object(info, field)


Hit = Annotated[Order | Product | Customer, strawberry.union("Hit")]


@strawberry.type
class SearchEdge:
    found: strawberry.Private[Any]

    @strawberry.field(**reads(FOUND))
    def node(self, info: Info) -> Hit | None:
        type_name = type(self.found).__name__
        info.context.freshness.read_member(info, type_name, FOUND.origin_of(type_name))
        return self.found


@strawberry.type
class SearchConnection:
    edges: list[SearchEdge]

    @strawberry.field
    def freshness(self, info: Info) -> Freshness:
        return describe(info, read_model="order_search", sources=SEARCH.sources)


@strawberry.type
class Query:
    @strawberry.field(**reads(CUSTOMER_BY_ID))
    async def customer(
        self, info: Info, key: Annotated[str, strawberry.argument(name="id")] = "c1"
    ) -> Customer | None:
        return await info.context.customer(info, key)

    @strawberry.field(**reads(ORDER_OR_PAST))
    async def order(self, info: Info, as_of: str | None = None) -> Order | None:
        return info.context.order(info, as_of)

    @strawberry.field(**reads(LIST))
    def customers(self, info: Info) -> list[Customer]:
        info.context.freshness.reading("customer_orders")
        if not info.context.documents:
            info.context.freshness.absent(info)
        return [Customer(document=document) for document in info.context.documents.values()]

    @strawberry.field(**reads(SEARCH))
    def search(self, info: Info) -> SearchConnection:
        info.context.search(info)
        return SearchConnection(edges=[SearchEdge(found=one) for one in info.context.found])

    @strawberry.field
    def version(self) -> str:
        return "1"


@strawberry.type
class Renamed:
    customer: Customer
    consistency_token: str = "token"


@strawberry.type
class Refused:
    message: str


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def rename(
        self, info: Info, name: str
    ) -> Annotated[Renamed | Refused, strawberry.union("RenameResult")]:
        return await info.context.rename(info, name)


@strawberry.type
class Subscription:
    @strawberry.subscription(**reads(FOLLOWED))
    async def customer_changed(self, info: Info) -> AsyncIterator[Customer]:
        async for customer in info.context.changes(info):
            yield customer


SCHEMA = freshness_schema(query=Query, mutation=Mutation, subscription=Subscription)
ORDER = {"id": "o1", "status": "PENDING", "note": None}


def customer_of(id_: str) -> Customer:
    return Customer(
        document={"id": id_, "name": "Ada", "nick": None, "order_count": 1, "last_order": "o1"}
    )


def product_of(id_: str) -> Product:
    return Product(document={"id": id_, "blurb": None})


class Tide:
    """Sources, relays, projectors and probes, moved by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.board = FreshnessBoard(MODELS, self.clock)
        self.ticks = dict.fromkeys(TOPIC, Tick(1, 1))
        self.published = dict.fromkeys(TOPIC, 0)
        self.applied: dict[str, dict[TopicPartition, int]] = {model.name: {} for model in MODELS}
        self.written: dict[str, dict[TopicPartition, int]] = {model.name: {} for model in MODELS}
        self.pending = dict.fromkeys(TOPIC, 0)
        self.states = {model.name: ReadModelState.RUNNING for model in MODELS}
        self.holes: dict[str, tuple[Hole, ...]] = {model.name: () for model in MODELS}

    def probe(self, *sources: str) -> None:
        """Ask the sources for their ticks, and hear the answers at once."""
        for source in sources or tuple(TOPIC):
            sent = Instant(self.clock.monotonic(), self.clock.now())
            self.board.on_probe(source, self.ticks[source], sent, self.pending[source])

    def tick(self, *sources: str) -> None:
        """Let relays make a tick and emit its watermark."""
        for source in sources or tuple(TOPIC):
            self.raise_tick(source)
            self.board.on_watermarks([self._watermark(source)])

    def raise_tick(self, source: str, *, epoch: int | None = None) -> None:
        """Make a tick whose watermark does not come."""
        before = self.ticks[source]
        self.ticks[source] = before._replace(epoch=epoch or before.epoch, n=before.n + 1)

    def restore(self, source: str) -> None:
        """Let a source begin another history, and rebuild what was read of the one before."""
        self.ticks[source] = Tick(self.ticks[source].epoch + 1, 1, "restored")

    def publish(self, source: str) -> None:
        """Commit an event and publish it; the next tick claims it."""
        self.published[source] += 1

    def apply(self, *read_models: str) -> None:
        """Let projectors apply whatever is published."""
        for name in read_models or tuple(self.applied):
            self.applied[name] = self._all()
        self._follow()

    def write(self, read_model: str) -> None:
        """Let a projector write whatever is published, which a refresh has not shown yet."""
        self.written[read_model] = self._all()
        self._follow()

    def park(self, read_model: str, source: str, key: str, *documents: str) -> None:
        """Let a projector park the event that is published next, and hear of it."""
        offset = self.published[source]
        hole = Hole(
            at=TopicPartition(TOPIC[source], 0),
            key=key,
            offset=offset,
            last_offset=offset,
            letters=1,
            documents=documents,
            error="UndecodableEventError",
            reason="it cannot be decoded",
        )
        self.holes[read_model] = (*self.holes[read_model], hole)
        self.publish(source)
        self.apply()

    def halt(self, read_model: str) -> None:
        self.states[read_model] = ReadModelState.HALTED
        self._follow()

    def settle(self) -> None:
        """Bring everything up to this instant."""
        self.probe()
        self.tick()
        self.apply()

    def pass_by(self, ms: float) -> None:
        self.clock.advance(ms=ms)

    def _all(self) -> dict[TopicPartition, int]:
        return {TopicPartition(TOPIC[source], 0): count for source, count in self.published.items()}

    def _follow(self) -> None:
        self.board.on_progress([self._progress(model) for model in MODELS])

    def _watermark(self, source: str) -> Watermark:
        tick = self.ticks[source]
        offsets = {TOPIC[source]: [self.published[source]]}
        return Watermark(source=source, **tick._asdict(), clock=self.clock.now(), offsets=offsets)

    def _progress(self, model: ReadModel) -> ReadModelProgress:
        return ReadModelProgress(
            model=ModelVersion(model.name, VERSIONS.get(model.name, 1)),
            active=True,
            state=self.states[model.name],
            reason=None,
            positions=self.applied[model.name],
            timelines={
                TopicPartition(topic, 0): self.ticks[source].timeline
                for source, topic in TOPIC.items()
            },
            events_applied=sum(self.applied[model.name].values()),
            written=self.written[model.name],
            holes=self.holes[model.name],
        )


@dataclass
class Context:
    """What stands in for `Request`: its fields that freshness needs, and what resolvers do."""

    freshness: OperationFreshness
    read_after: ConsistencyToken = field(default_factory=ConsistencyToken)
    documents: dict[str, Any] = field(
        default_factory=lambda: {id_: customer_of(id_).document for id_ in ("c1", "c2", "c3")}
    )
    calls: list[str] = field(default_factory=list)
    pages_elsewhere: tuple[str, ...] = ()
    found: list[Any] = field(
        default_factory=lambda: [Order(document=ORDER), product_of("p1"), customer_of("c1")]
    )
    complete: bool = True
    unavailable: bool = False
    repeated: bool = False
    meanwhile: Callable[[], None] = lambda: None

    async def customer(self, info: Info, id_: str) -> Customer | None:
        self.calls.append("customer")
        if self.unavailable:
            raise SourceUnavailable
        if self.freshness.asks_source(info):
            self.from_source(info, "customers")
        else:
            self.freshness.reading("customer_orders")
        self.meanwhile()
        if id_ not in self.documents:
            self.freshness.absent(info)
            return None
        return Customer(document=self.documents[id_])

    async def orders(self, info: Info, customer_id: str) -> OrderConnection:
        if customer_id in self.pages_elsewhere:
            reading = await self.freshness.settled_reading(
                info, read_model="orders", sources=("orders",), key=customer_id
            )
            if not self.freshness.asks_source(info):
                self.freshness.served(
                    info,
                    read_model="orders",
                    sources=("orders",),
                    served_from=ServedFrom.READ_MODEL,
                    reading=reading,
                )
        if self.freshness.asks_source(info):
            self.from_source(info, "orders")
        return OrderConnection(edges=[OrderEdge(node=Order(document=ORDER))])

    def order(self, info: Info, as_of: str | None) -> Order:
        if as_of is not None or self.freshness.asks_source(info):
            self.from_source(info, "orders")
        else:
            self.freshness.reading("orders")
        return Order(document=ORDER)

    def from_source(self, info: Info, source: str) -> None:
        self.calls.append("source")
        self.freshness.served(
            info,
            read_model=None,
            sources=(source,),
            served_from=ServedFrom.SOURCE,
            asked_s=self.freshness.now_s(),
        )

    def search(self, info: Info) -> None:
        if not self.complete:
            self.freshness.absent(info)
            self.freshness.served(
                info,
                read_model="order_search",
                sources=SEARCH.sources,
                served_from=ServedFrom.READ_MODEL,
                complete=False,
            )

    async def rename(self, info: Info, name: str) -> Any:
        self.calls.append("rename")
        if not name:
            return Refused(message="a customer needs a name")
        if self.unavailable:
            raise SourceUnavailable
        self.meanwhile()
        by = ServedFrom.CACHE if self.repeated else ServedFrom.SOURCE
        self.freshness.served(info, read_model=None, sources=("customers",), served_from=by)
        return Renamed(customer=customer_of("c1"))

    async def changes(self, info: Info) -> AsyncIterator[Customer]:
        while True:
            self.freshness.reading("customer_orders")
            self.meanwhile()
            yield customer_of("c1")


class Bench:
    """Sends operations to the store."""

    def __init__(self) -> None:
        self.tide = Tide()
        self.tide.settle()

    def context(self, header: str | None = None, **facts: Any) -> Context:
        tide = self.tide
        freshness = OperationFreshness(
            board=tide.board, signer=SIGNER, clock=tide.clock, header=header
        )
        return Context(freshness, **facts)

    async def send(
        self,
        query: str,
        context: Context | None = None,
        *,
        extensions: dict[str, Any] | None = None,
        **variables: Any,
    ) -> ExecutionResult:
        return await SCHEMA.execute(
            query,
            variable_values=variables,
            context_value=context or self.context(),
            operation_extensions=extensions,
        )

    async def told(self, query: str, context: Context | None = None, **variables: Any) -> Any:
        """Return `extensions.freshness` of an answer without errors."""
        result = await self.send(query, context, **variables)
        assert result.errors is None, result.errors
        return (result.extensions or {})["freshness"]

    async def fields(self, query: str, context: Context | None = None, **variables: Any) -> Any:
        """Return the entries by path, without those of types."""
        told = await self.told(query, context, **variables)
        return {tuple(entry["path"]): entry for entry in told["fields"]}


def token(**ticks: int) -> ConsistencyToken:
    return ConsistencyToken(ticks={source: Tick(1, n) for source, n in ticks.items()})
