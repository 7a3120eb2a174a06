"""Customers with their orders, from the read model `customer_orders`.

A customer that comes from its own service knows nothing of orders; below it they still come from a
read model, or from the orders service where that is asked.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import strawberry
from strawberry.relay import PageInfo

from contracts.read_models import CUSTOMER_ORDERS, ORDERS_MODEL
from gateway.freshness.served import ServedFrom
from gateway.freshness.types import Freshness, describe_field
from gateway.identity import cursor_of, global_id, values_of
from gateway.projected import Projection, projected, reads
from gateway.readers import Page, bounded, of_customer, with_status
from gateway.schema.enums import OrderStatus
from gateway.schema.info import Info
from gateway.schema.money import Money, to_money
from gateway.schema.node import Node, page_info, served_by_source, told_if_empty
from gateway.schema.order import OrderConnection, order_connection

SOURCES = ("customers",)
CUSTOMERS, ORDERS_OF_CUSTOMER = "customers", "Customer.orders"
"""The lists of customers and of a customer's orders, as their cursors name them."""

CUSTOMER = Projection(read_model=CUSTOMER_ORDERS.name, sources=SOURCES, reads=True)
CUSTOMER_ORDER_FACTS = Projection(
    read_model=CUSTOMER_ORDERS.name, sources=("orders",), reads=True, same_document=True
)
CUSTOMER_ORDER_PAGE = Projection(
    read_model=CUSTOMER_ORDERS.name,
    sources=("orders",),
    reads=True,
    same_document=True,
    or_from=((ORDERS_MODEL.name, ("orders",)),),
)

_field = partial(projected, read_model=CUSTOMER_ORDERS.name, sources=SOURCES)


def _credit_available(customer: dict[str, Any]) -> Money:
    limit, reserved = customer["credit_limit"], customer["credit_reserved"]
    return to_money({**limit, "minor": limit["minor"] - reserved["minor"]})


@strawberry.type(description="A customer with its credit line and its orders.")
class Customer(Node):
    """`document` is a `CustomerDocument`, or a `CustomerState` from the customers service."""

    document: strawberry.Private[dict[str, Any]]

    id: strawberry.ID = _field("id", convert=partial(global_id, "Customer"))
    name: str = _field("name")
    email: str = _field("email")
    credit_limit: Money = _field("credit_limit", convert=to_money)
    credit_reserved: Money = _field("credit_reserved", convert=to_money)
    credit_available: Money = _field(None, convert=_credit_available)

    @strawberry.field(
        description="Newest first; a page is from one read model, never stitched.",
        **reads(CUSTOMER_ORDER_PAGE),
    )
    async def orders(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = None,
        status: list[OrderStatus] | None = None,
    ) -> OrderConnection:
        place = cast("tuple[str, str] | None", values_of(after, ORDERS_OF_CUSTOMER, 2))
        page = await self._order_page(info, bounded(first), place, status)
        return order_connection(told_if_empty(info, page), after, ORDERS_OF_CUSTOMER)

    @strawberry.field(description="All orders ever placed.", **reads(CUSTOMER_ORDER_FACTS))
    async def order_count(self, info: Info) -> int:
        count: int = (await self._order_facts(info))["order_count"]
        return count

    @strawberry.field(
        description="Over all orders that were not rejected or cancelled.",
        **reads(CUSTOMER_ORDER_FACTS),
    )
    async def order_total(self, info: Info) -> Money:
        totals = (await self._order_facts(info))["order_total_minor"]
        currency = self.document["credit_limit"]["currency"]
        return to_money({"minor": totals.get(currency, 0), "currency": currency})

    @strawberry.field(description="How stale this customer, or one field of it, can be at most.")
    def freshness(self, info: Info, field: str | None = None) -> Freshness:
        return describe_field(info, "Customer", field)

    async def _order_page(
        self,
        info: Info,
        first: int,
        after: tuple[str, str] | None,
        status: list[OrderStatus] | None,
    ) -> Page:
        if info.context.freshness.asks_source(info):
            return await self._order_page_from_source(info, first, after, status)
        recent = await self._recent_orders(info)
        page = _page_within(recent, first, after, status) if recent is not None else None
        if page is not None:
            return page
        reading = await info.context.freshness.settled_reading(
            info, read_model=ORDERS_MODEL.name, sources=("orders",), key=self.document["id"]
        )
        if info.context.freshness.asks_source(info):
            return await self._order_page_from_source(info, first, after, status)
        where = [of_customer(self.document["id"]), *with_status(status)]
        page = await info.context.readers.order_page(first, after, where)
        info.context.freshness.served(
            info,
            read_model=ORDERS_MODEL.name,
            sources=("orders",),
            served_from=ServedFrom.READ_MODEL,
            reading=reading,
        )
        return page

    async def _order_page_from_source(
        self,
        info: Info,
        first: int,
        after: tuple[str, str] | None,
        status: list[OrderStatus] | None,
    ) -> Page:
        wanted = {"after": ",".join(after)} if after else {}
        if status is not None:
            wanted["status"] = ",".join(status)
        answer = await self._ask_orders(info, first=str(first), **wanted)
        return Page(answer["orders"], answer["has_next"])

    async def _ask_orders(self, info: Info, **wanted: str) -> dict[str, Any]:
        sources = info.context.sources
        answered = await sources.orders_of_customer(self.document["id"], **wanted)
        served_by_source(info, ("orders",), answered.asked_s)
        answer: dict[str, Any] = answered.content
        return answer

    async def _order_facts(self, info: Info) -> dict[str, Any]:
        """Return what the orders come to: count, and totals by currency."""
        if info.context.freshness.asks_source(info):
            answer = await self._ask_orders(info, first="0")
            return {"order_count": answer["count"], "order_total_minor": answer["total_minor"]}
        recent = await self._recent_orders(info)
        if recent is None:
            info.context.freshness.absent(info)
            return {"order_count": 0, "order_total_minor": {}}
        return recent

    async def _recent_orders(self, info: Info) -> dict[str, Any] | None:
        if "orders" in self.document:
            return self.document
        # The customer is known from its service, so orders that were applied before it count.
        found = await info.context.readers.orders_of_customers.load(self.document["id"])
        return found if found is not None and "orders" in found else None


def _page_within(
    customer: dict[str, Any],
    first: int,
    after: tuple[str, str] | None,
    status: list[OrderStatus] | None,
) -> Page | None:
    """Return the page if it lies wholly inside the document's orders, newest first."""
    holds_all = customer["order_count"] == len(customer["orders"])
    if status is not None and not holds_all:
        return None
    following = [
        order
        for order in customer["orders"]
        if (after is None or (order["placed_at"], order["id"]) < after)
        and (status is None or order["status"] in status)
    ]
    # Even a page of none must know whether more follow the last order that is held.
    if len(following) < max(first, 1) and not holds_all:
        return None
    page = following[:first]
    has_next = len(following) > first or not holds_all
    return Page(page, has_next)


@strawberry.type
class CustomerEdge:
    node: Customer
    cursor: str


@strawberry.type
class CustomerConnection:
    edges: list[CustomerEdge]
    page_info: PageInfo


def customer_connection(page: Page, after: str | None) -> CustomerConnection:
    """Return a page of customers."""
    edges = [
        CustomerEdge(node=Customer(document=document), cursor=cursor_of(CUSTOMERS, document["id"]))
        for document in page.documents
    ]
    cursors = [edge.cursor for edge in edges]
    return CustomerConnection(
        edges=edges, page_info=page_info(cursors, has_next=page.has_next, after=after)
    )


async def find_customer(info: Info, customer_id: str) -> Customer | None:
    """Return the customer from its read model, or from its service where that is asked."""
    if info.context.freshness.asks_source(info):
        answered = await info.context.sources.customers.load(customer_id)
        served_by_source(info, SOURCES, answered.asked_s)
        document = answered.content
    else:
        document = await info.context.readers.customers.load(customer_id)
    if document is None:
        info.context.freshness.absent(info)
        return None
    return Customer(document=document)
