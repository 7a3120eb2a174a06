"""Read model `order_search`: a text index over orders, products and customers.

One search document an aggregate; a hit is joined with its document when it is read.
"""

from __future__ import annotations

from typing import Any

from contracts.documents.order_search import ORDER_SEARCH_INDEX, SearchKind
from contracts.documents.orders import OrderStatus
from contracts.events import event_types
from contracts.events.customers import CUSTOMER, CustomerCreated
from contracts.events.inventory import PRODUCT, ProductAdded
from contracts.events.orders import (
    ORDER,
    OrderApproved,
    OrderCancelled,
    OrderPlaced,
    OrderRejected,
    OrderShipped,
)
from contracts.read_models import ORDER_SEARCH
from slackwater.events.event import Event, EventBody, Recorded
from slackwater.read_models.projection import Guard, Projection, Ref, Rows

projection = Projection(ORDER_SEARCH, event_types=event_types, index=ORDER_SEARCH_INDEX)

_KINDS = {
    ORDER: SearchKind.ORDER,
    PRODUCT: SearchKind.PRODUCT,
    CUSTOMER: SearchKind.CUSTOMER,
}
_STATUSES: dict[type[EventBody], OrderStatus] = {
    OrderApproved: OrderStatus.APPROVED,
    OrderRejected: OrderStatus.REJECTED,
    OrderCancelled: OrderStatus.CANCELLED,
    OrderShipped: OrderStatus.SHIPPED,
}


def _hit(event: Event) -> Ref:
    kind = _KINDS[event.aggregate_type]
    return Ref(ORDER_SEARCH_INDEX.name, f"{kind}:{event.aggregate_id}")


@projection.on(ProductAdded)
def product_added(rows: Rows, recorded: Recorded[ProductAdded]) -> None:
    added = recorded.body
    rows.edit(_hit(recorded.event)).update(
        kind=SearchKind.PRODUCT,
        title=added.name,
        codes=recorded.event.aggregate_id,
        text=added.description,
    )


@projection.on(CustomerCreated)
def customer_created(rows: Rows, recorded: Recorded[CustomerCreated]) -> None:
    created = recorded.body
    rows.edit(_hit(recorded.event)).update(
        kind=SearchKind.CUSTOMER, title=created.name, codes=created.email
    )


@projection.on(OrderPlaced)
def order_placed(rows: Rows, recorded: Recorded[OrderPlaced]) -> None:
    placed = recorded.body
    rows.edit(_hit(recorded.event)).update(
        kind=SearchKind.ORDER,
        title=recorded.event.aggregate_id,
        codes=" ".join(line.sku for line in placed.lines),
        text=" ".join([*(line.product_name for line in placed.lines), placed.note or ""]),
        status=OrderStatus.PENDING,
    )


def order_decided(rows: Rows, recorded: Recorded[Any]) -> None:
    rows.edit(_hit(recorded.event))["status"] = _STATUSES[type(recorded.body)]


for aggregate_type in _KINDS:
    projection.follow(aggregate_type, Guard(row=_hit))
for body in _STATUSES:
    projection.on(body)(order_decided)
