"""Queries: roots of everything that can be read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import strawberry

from contracts.timestamps import to_text
from gateway.errors import BadUserInput
from gateway.identity import any_key, key_if, key_of, values_of
from gateway.projected import LookUp, Projection, reads
from gateway.readers import bounded, of_customer, with_status
from gateway.schema.customer import (
    CUSTOMER,
    CUSTOMERS,
    Customer,
    CustomerConnection,
    customer_connection,
    find_customer,
)
from gateway.schema.enums import SearchKind
from gateway.schema.history import OrderEvent, to_order_event
from gateway.schema.info import Info
from gateway.schema.inputs import CustomerFilter, OrderFilter
from gateway.schema.node import Node, served_by_source, told_if_empty
from gateway.schema.order import ORDER, ORDERS, Order, OrderConnection, order_connection
from gateway.schema.product import PRODUCT, PRODUCTS, Product, ProductConnection, product_connection
from gateway.schema.read_models import ReadModelStatus, all_statuses
from gateway.schema.search import SEARCH, SearchConnection, search_connection
from slackwater.read_models.documents import Condition, Operator

NODE = Projection(
    read_model=CUSTOMER.read_model,
    sources=CUSTOMER.sources,
    reads=True,
    reads_by_type={
        "Customer": (CUSTOMER.read_model, CUSTOMER.sources),
        "Order": (ORDER.read_model, ORDER.sources),
        "Product": (PRODUCT.read_model, PRODUCT.sources),
    },
    looks_up=LookUp(argument="id", key_of=key_if),
)
CUSTOMER_BY_ID = msgspec.structs.replace(
    CUSTOMER, looks_up=LookUp(argument="id", key_of=lambda id_, _: key_if(id_, "Customer"))
)
PRODUCT_BY_SKU = msgspec.structs.replace(
    PRODUCT, looks_up=LookUp(argument="sku", key_of=lambda sku, _: sku)
)
ORDER_NOW_OR_THEN = msgspec.structs.replace(
    ORDER,
    source_if=("asOf",),
    looks_up=LookUp(argument="id", key_of=lambda id_, _: key_if(id_, "Order")),
)


def _listed(projection: Projection) -> Projection:
    """A list of a read model: no write service can answer it."""
    return msgspec.structs.replace(projection, source_answers=False)


ORDERS_LISTED = msgspec.structs.replace(
    _listed(ORDER),
    looks_up=LookUp(
        argument="filter",
        within="customerId",
        key_of=lambda id_, _: key_if(id_, "Customer"),
    ),
)


@strawberry.type
class Query:
    @strawberry.field(description="Anything by its id.", **reads(NODE))
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:  # noqa: A002
        type_name, key = any_key(id)
        if type_name in NODE.reads_by_type:
            info.context.freshness.read_member(info, type_name, NODE.origin_of(type_name))
        if type_name == "Customer":
            return await find_customer(info, key)
        if type_name == "Order":
            return await _find_order(info, key)
        if type_name == "Product":
            return await _find_product(info, key)
        raise BadUserInput(f"{id!r} is the id of nothing that can be found; use one of the API's")

    @strawberry.field(description="A customer with its orders.", **reads(CUSTOMER_BY_ID))
    async def customer(self, info: Info, id: strawberry.ID) -> Customer | None:  # noqa: A002
        return await find_customer(info, key_of(id, "Customer"))

    @strawberry.field(description="Customers, ordered by id.", **reads(_listed(CUSTOMER)))
    async def customers(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = None,
        filter: CustomerFilter | None = None,  # noqa: A002
    ) -> CustomerConnection:
        place = values_of(after, CUSTOMERS, 1)
        page = await info.context.readers.customer_page(first, place, _customers_where(filter))
        return customer_connection(told_if_empty(info, page), after)

    @strawberry.field(
        description="An order; with `asOf`, as it stood then, from its own events.",
        **reads(ORDER_NOW_OR_THEN),
    )
    async def order(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        as_of: datetime | None = None,
    ) -> Order | None:
        key = key_of(id, "Order")
        return await (_find_order(info, key) if as_of is None else _past(info, key, as_of))

    @strawberry.field(description="Orders, newest first.", **reads(ORDERS_LISTED))
    async def orders(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = None,
        filter: OrderFilter | None = None,  # noqa: A002
    ) -> OrderConnection:
        place = values_of(after, ORDERS, 2)
        page = await info.context.readers.order_page(first, place, _orders_where(filter))
        return order_connection(told_if_empty(info, page), after)

    @strawberry.field(description="A product by its sku.", **reads(PRODUCT_BY_SKU))
    async def product(self, info: Info, sku: str) -> Product | None:
        return await _find_product(info, sku)

    @strawberry.field(description="Products, ordered by sku.", **reads(_listed(PRODUCT)))
    async def products(
        self, info: Info, first: int | None = 20, after: str | None = None
    ) -> ProductConnection:
        page = await info.context.readers.product_page(first, values_of(after, PRODUCTS, 1))
        return product_connection(told_if_empty(info, page), after)

    @strawberry.field(
        description="All words must match, the last one also as a beginning; best first.",
        **reads(SEARCH),
    )
    async def search(
        self,
        info: Info,
        text: str,
        kinds: list[SearchKind] | None = None,
        first: int | None = 20,
        after: str | None = None,
    ) -> SearchConnection:
        size = bounded(first)
        result = await info.context.readers.search(text, kinds or [], size, after)
        return await search_connection(info, result, size, after)

    @strawberry.field(description="Everything that happened to an order, oldest first.")
    async def order_history(self, info: Info, id: strawberry.ID) -> list[OrderEvent]:  # noqa: A002
        asked_s = info.context.freshness.now_s()
        events = await info.context.services.query(
            "orders", "order-history", id=key_of(id, "Order")
        )
        served_by_source(info, ("orders",), asked_s)
        return [to_order_event(event) for event in events or []]

    @strawberry.field(description="Every read model, and how far it has come.")
    async def read_models(self, info: Info) -> list[ReadModelStatus]:
        return await all_statuses(info)


async def _find_order(info: Info, order_id: str) -> Order | None:
    document: dict[str, Any] | None
    if info.context.freshness.asks_source(info):
        answered = await info.context.sources.orders.load(order_id)
        served_by_source(info, ORDER.sources, answered.asked_s)
        document = answered.content
    else:
        document = await info.context.readers.orders.load(order_id)
    if document is None:
        info.context.freshness.absent(info)
        return None
    return Order(document=document)


async def _past(info: Info, order_id: str, as_of: datetime) -> Order | None:
    asked_s = info.context.freshness.now_s()
    document = await info.context.services.query(
        "orders", "order", id=order_id, as_of=_in_utc(as_of, "asOf")
    )
    served_by_source(info, ORDER.sources, asked_s)
    return Order(document=document) if document is not None else None


async def _find_product(info: Info, sku: str) -> Product | None:
    document: dict[str, Any] | None
    if info.context.freshness.asks_source(info):
        answered = await info.context.sources.products.load(sku)
        served_by_source(info, PRODUCT.sources, answered.asked_s)
        document = answered.content
    else:
        document = await info.context.readers.products.load(sku)
    if document is None:
        info.context.freshness.absent(info)
        return None
    return Product(document=document)


def _customers_where(wanted: CustomerFilter | None) -> list[Condition]:
    where = []
    if wanted is not None and wanted.email is not None:
        where.append(Condition(path="email", operator=Operator.EQUAL, value=wanted.email))
    if wanted is not None and wanted.name_starts_with is not None:
        where.append(
            Condition(path="name", operator=Operator.STARTS_WITH, value=wanted.name_starts_with)
        )
    return where


def _orders_where(wanted: OrderFilter | None) -> list[Condition]:
    if wanted is None:
        return []
    where = with_status(wanted.status)
    if wanted.customer_id is not None:
        where.append(of_customer(key_of(wanted.customer_id, "Customer")))
    if wanted.placed_after is not None:
        where.append(_placed(Operator.AT_LEAST, _in_utc(wanted.placed_after, "placedAfter")))
    if wanted.placed_before is not None:
        where.append(_placed(Operator.BELOW, _in_utc(wanted.placed_before, "placedBefore")))
    return where


def _placed(operator: Operator, moment: str) -> Condition:
    return Condition(path="placed_at", operator=operator, value=moment)


def _in_utc(moment: datetime, argument: str) -> str:
    """Return a moment's text; at the ends of the calendar an offset leads out of it."""
    if moment.tzinfo is None:
        raise BadUserInput(f"`{argument}` has no offset; write it like 2026-11-24T10:00:00Z")
    try:
        return to_text(moment)
    except OverflowError as error:
        message = f"`{argument}` is beyond the calendar; give a time from 0001 to 9999 in UTC"
        raise BadUserInput(message, original_error=error) from error
