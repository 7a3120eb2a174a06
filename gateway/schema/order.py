"""Orders, from the read model `orders` or from their customer's document; both hold them whole."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from strawberry.relay import PageInfo

from contracts.read_models import CUSTOMER_ORDERS, ORDERS_MODEL
from contracts.timestamps import from_text, to_text
from gateway.freshness.types import Freshness, describe_field
from gateway.identity import cursor_of, global_id
from gateway.projected import Projection, projected, reads
from gateway.readers import Page
from gateway.schema.enums import OrderStatus, RejectionReason, SagaStep
from gateway.schema.info import Info
from gateway.schema.money import Money, to_money
from gateway.schema.node import Node, page_info

if TYPE_CHECKING:
    from gateway.schema.customer import Customer

SOURCES = ("orders",)
ORDERS = "orders"
"""The list of all orders, as its cursors name it."""
ORDER = Projection(read_model=ORDERS_MODEL.name, sources=SOURCES, reads=True)
ORDER_CUSTOMER = Projection(read_model=CUSTOMER_ORDERS.name, sources=("customers",), reads=True)

_field = partial(projected, read_model=ORDERS_MODEL.name, sources=SOURCES)


@strawberry.type(description="What is ordered, with name and price at the time of ordering.")
class OrderLine:
    document: strawberry.Private[dict[str, Any]]

    sku: str = _field("sku")
    product_name: str = _field("product_name")
    quantity: int = _field("quantity")
    unit_price: Money = _field("unit_price", convert=to_money)
    total: Money = _field("total", convert=to_money)


@strawberry.type(description="The saga's stage: who has answered, and until when it may.")
class OrderProcessing:
    document: strawberry.Private[dict[str, Any]]

    since: datetime = _field("since", convert=from_text)
    deadline: datetime = _field("deadline", convert=from_text)
    credit: SagaStep = _field("credit", convert=SagaStep)
    stock: SagaStep = _field("stock", convert=SagaStep)


def _lines(lines: list[dict[str, Any]]) -> list[OrderLine]:
    return [OrderLine(document=line) for line in lines]


def _processing(order: dict[str, Any]) -> OrderProcessing | None:
    """Return the saga's stage; an order that has been decided is in none."""
    if order["status"] != OrderStatus.PENDING or order["processing"] is None:
        return None
    return OrderProcessing(document=order["processing"])


@strawberry.type(description="An order; PENDING until the saga has decided it.")
class Order(Node):
    """`document` is an `OrderDocument`."""

    document: strawberry.Private[dict[str, Any]]

    id: strawberry.ID = _field("id", convert=partial(global_id, "Order"))
    status: OrderStatus = _field("status", convert=OrderStatus)
    rejection_reason: RejectionReason | None = _field("rejection_reason", convert=RejectionReason)
    lines: list[OrderLine] = _field("lines", convert=_lines)
    total: Money = _field("total", convert=to_money)
    note: str | None = _field("note")
    placed_at: datetime = _field("placed_at", convert=from_text)
    updated_at: datetime = _field("updated_at", convert=from_text)
    processing: OrderProcessing | None = _field(
        None, convert=_processing, description="Who has answered, since when; while PENDING."
    )

    @strawberry.field(**reads(ORDER_CUSTOMER))
    async def customer(
        self, info: Info
    ) -> Annotated[Customer, strawberry.lazy("gateway.schema.customer")] | None:
        from gateway.schema.customer import find_customer

        return await find_customer(info, self.document["customer_id"])

    @strawberry.field(description="How stale this order, or one field of it, can be at most.")
    def freshness(self, info: Info, field: str | None = None) -> Freshness:
        return describe_field(info, "Order", field)


@strawberry.type
class OrderEdge:
    node: Order
    cursor: str


@strawberry.type
class OrderConnection:
    edges: list[OrderEdge]
    page_info: PageInfo


def order_cursor(document: dict[str, Any], list_name: str) -> str:
    """Return the place of an order in a list, newest first."""
    return cursor_of(list_name, to_text(from_text(document["placed_at"])), document["id"])


def order_connection(page: Page, after: str | None, list_name: str = ORDERS) -> OrderConnection:
    """Return a page of orders, newest first."""
    edges = [
        OrderEdge(node=Order(document=document), cursor=order_cursor(document, list_name))
        for document in page.documents
    ]
    cursors = [edge.cursor for edge in edges]
    return OrderConnection(
        edges=edges, page_info=page_info(cursors, has_next=page.has_next, after=after)
    )
