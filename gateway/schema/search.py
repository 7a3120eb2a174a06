"""Search over orders, products and customers.

What is found follows the index; what is shown of it follows its own read model. A hit whose
document is not there (yet) is left out of the page and still counts in `totalCount`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import strawberry
from strawberry.relay import PageInfo

from contracts.read_models import CUSTOMER_ORDERS, ORDER_SEARCH, ORDERS_MODEL, PRODUCTS_MODEL
from gateway.freshness.served import ServedFrom
from gateway.freshness.types import Freshness, describe
from gateway.projected import Projection, reads
from gateway.schema.customer import Customer
from gateway.schema.enums import SearchKind
from gateway.schema.info import Info, may_select
from gateway.schema.node import page_info
from gateway.schema.order import Order
from gateway.schema.product import Product
from slackwater.read_models.search import Hit, SearchResult

SEARCH = Projection(
    read_model=ORDER_SEARCH.name,
    sources=ORDER_SEARCH.sources,
    reads=True,
    source_answers=False,
)
FOUND = Projection(
    read_model=ORDER_SEARCH.name,
    sources=ORDER_SEARCH.sources,
    reads=True,
    reads_by_type={
        "Order": (ORDERS_MODEL.name, ("orders",)),
        "Product": (PRODUCTS_MODEL.name, ("inventory",)),
        "Customer": (CUSTOMER_ORDERS.name, ("customers",)),
    },
    source_answers=False,
)

SearchHit = Annotated[Order | Product | Customer, strawberry.union("SearchHit")]


@strawberry.type(description="Where the words were found; they stand in <em>, the rest is escaped.")
class Highlight:
    field: str
    snippets: list[str]


@strawberry.type
class SearchEdge:
    found: strawberry.Private[Order | Product | Customer]
    cursor: str
    score: float
    highlights: list[Highlight]

    @strawberry.field(**reads(FOUND))
    def node(self, info: Info) -> SearchHit:
        type_name = type(self.found).__name__
        info.context.freshness.read_member(info, type_name, FOUND.origin_of(type_name))
        return self.found


@strawberry.type
class SearchConnection:
    edges: list[SearchEdge]
    page_info: PageInfo
    total_count: int | None

    @strawberry.field(description="How stale what was found can be at most.")
    def freshness(self, info: Info) -> Freshness:
        return describe(info, read_model=ORDER_SEARCH.name, sources=ORDER_SEARCH.sources)


async def search_connection(
    info: Info, result: SearchResult, first: int, after: str | None
) -> SearchConnection:
    """Join the hits of a page with their documents; a hit beyond `first` says that more follow."""
    hits = result.hits[:first]
    if not result.hits:
        info.context.freshness.absent(info)
    if result.is_kept:
        _tell_without_bound(info)
    edges = await _edges(info, hits) if may_select(info, "edges") else []
    cursors = [hit.cursor for hit in hits]
    return SearchConnection(
        edges=edges,
        total_count=result.total,
        page_info=page_info(cursors, has_next=len(result.hits) > first, after=after),
    )


async def _edges(info: Info, hits: Sequence[Hit]) -> list[SearchEdge]:
    nodes = await asyncio.gather(*(_join(info, hit) for hit in hits))
    edges = [_edge(hit, node) for hit, node in zip(hits, nodes, strict=True) if node is not None]
    if len(edges) < len(hits):
        _tell_incomplete(info)
    return edges


def _tell_incomplete(info: Info) -> None:
    """Something was found whose document is behind the index: this page has no bound."""
    info.context.freshness.absent(info)
    _tell_without_bound(info)


def _tell_without_bound(info: Info) -> None:
    """This page may lack anything, for example what came after the page before was read."""
    info.context.freshness.served(
        info,
        read_model=ORDER_SEARCH.name,
        sources=ORDER_SEARCH.sources,
        served_from=ServedFrom.READ_MODEL,
        complete=False,
    )


def _edge(hit: Hit, node: Order | Product | Customer) -> SearchEdge:
    return SearchEdge(
        found=node,
        cursor=hit.cursor,
        score=hit.score,
        highlights=[
            Highlight(field=field, snippets=snippets) for field, snippets in hit.highlights.items()
        ],
    )


async def _join(info: Info, hit: Hit) -> Order | Product | Customer | None:
    readers = info.context.readers
    key = hit.id.partition(":")[2]
    document: dict[str, Any] | None
    if hit.kind == SearchKind.ORDER:
        document = await readers.orders.load(key)
        return Order(document=document) if document else None
    if hit.kind == SearchKind.PRODUCT:
        document = await readers.products.load(key)
        return Product(document=document) if document else None
    document = await readers.customers.load(key)
    return Customer(document=document) if document else None
