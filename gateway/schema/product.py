"""Products, from the read model `products`."""

from __future__ import annotations

from functools import partial
from typing import Any

import strawberry
from strawberry.relay import PageInfo

from contracts.read_models import PRODUCTS_MODEL
from gateway.freshness.types import Freshness, describe_field
from gateway.identity import cursor_of, global_id
from gateway.projected import Projection, projected
from gateway.readers import Page
from gateway.schema.info import Info
from gateway.schema.money import Money, to_money
from gateway.schema.node import Node, page_info

SOURCES = ("inventory",)
PRODUCTS = "products"
"""The list of all products, as its cursors name it."""
PRODUCT = Projection(read_model=PRODUCTS_MODEL.name, sources=SOURCES, reads=True)

_field = partial(projected, read_model=PRODUCTS_MODEL.name, sources=SOURCES)


@strawberry.type(description="Something for sale.")
class Product(Node):
    """`document` is a `ProductDocument`."""

    document: strawberry.Private[dict[str, Any]]

    id: strawberry.ID = _field("id", convert=partial(global_id, "Product"))
    sku: str = _field("sku")
    name: str = _field("name")
    description: str = _field("description")
    price: Money = _field("price", convert=to_money)
    stock_available: int = _field("stock_available")

    @strawberry.field(description="How stale this product, or one field of it, can be at most.")
    def freshness(self, info: Info, field: str | None = None) -> Freshness:
        return describe_field(info, "Product", field)


@strawberry.type
class ProductEdge:
    node: Product
    cursor: str


@strawberry.type
class ProductConnection:
    edges: list[ProductEdge]
    page_info: PageInfo


def product_connection(page: Page, after: str | None) -> ProductConnection:
    """Return a page of products, ordered by sku."""
    edges = [
        ProductEdge(node=Product(document=document), cursor=cursor_of(PRODUCTS, document["id"]))
        for document in page.documents
    ]
    cursors = [edge.cursor for edge in edges]
    return ProductConnection(
        edges=edges, page_info=page_info(cursors, has_next=page.has_next, after=after)
    )
