"""Read model `customer_orders`: one document a customer, with its newest orders and totals.

What an order contributes to its customer's totals must be known even after it has left the bounded
list, or its next event would count it twice. So each order has a row in a private ledger; totals
change by the difference between the ledger's entry before and after an event, and ledger, document
and progress are written as one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from contracts.documents.customers import (
    CUSTOMERS_COLLECTION,
    ORDER_LEDGER_COLLECTION,
    RECENT_ORDERS_MAX,
)
from contracts.documents.orders import OrderStatus
from contracts.events import event_types
from contracts.events.customers import (
    CUSTOMER,
    CreditLimitChanged,
    CreditReleased,
    CreditReserved,
    CustomerCreated,
)
from contracts.events.orders import ORDER
from contracts.read_models import CUSTOMER_ORDERS
from contracts.timestamps import to_text
from projectors.order_state import ORDER_EVENTS, change_order
from slackwater.events.event import Event, Recorded
from slackwater.read_models.documents import Document
from slackwater.read_models.projection import Guard, Projection, Ref, Rows

_NOT_COUNTED = {OrderStatus.REJECTED, OrderStatus.CANCELLED}

projection = Projection(
    CUSTOMER_ORDERS,
    event_types=event_types,
    collections=[CUSTOMERS_COLLECTION, ORDER_LEDGER_COLLECTION],
)


def _customer(event: Event) -> Ref:
    """Customers and orders are both keyed by customer id."""
    return Ref(CUSTOMERS_COLLECTION.name, event.partition_key)


def _ledger(event: Event) -> Ref:
    return Ref(ORDER_LEDGER_COLLECTION.name, event.aggregate_id)


@projection.on(CustomerCreated)
def customer_created(rows: Rows, recorded: Recorded[CustomerCreated]) -> None:
    created = recorded.body
    customer = _with_orders(rows.edit(_customer(recorded.event)))
    customer.update(
        name=created.name,
        email=created.email,
        credit_limit=msgspec.to_builtins(created.credit_limit),
        credit_reserved={"minor": 0, "currency": created.credit_limit.currency},
        created_at=to_text(recorded.event.time),
    )


@projection.on(CreditLimitChanged)
def credit_limit_changed(rows: Rows, recorded: Recorded[CreditLimitChanged]) -> None:
    limit = msgspec.to_builtins(recorded.body.credit_limit)
    rows.edit(_customer(recorded.event))["credit_limit"] = limit


def credit_changed(rows: Rows, recorded: Recorded[Any]) -> None:
    reserved = msgspec.to_builtins(recorded.body.credit_reserved)
    rows.edit(_customer(recorded.event))["credit_reserved"] = reserved


def order_changed(rows: Rows, recorded: Recorded[Any]) -> None:
    entry = rows.edit(_ledger(recorded.event))
    customer = _with_orders(rows.edit(_customer(recorded.event)))
    before = _contribution(entry)
    change_order(entry, recorded)
    _add_to_totals(customer, before, -1)
    _add_to_totals(customer, _contribution(entry), +1)
    _put_into_recent(customer, entry)


def _with_orders(customer: Document) -> Document:
    """Whichever comes first, the customer or an order of it, starts its orders."""
    customer.setdefault("orders", [])
    customer.setdefault("order_count", 0)
    customer.setdefault("order_total_minor", {})
    return customer


def _contribution(entry: Document) -> tuple[int, str | None, int]:
    """What an order adds to its customer: orders, and a sum in a currency."""
    if "status" not in entry:
        return 0, None, 0
    if entry["status"] in _NOT_COUNTED:
        return 1, None, 0
    return 1, entry["total"]["currency"], entry["total"]["minor"]


def _add_to_totals(
    customer: Document, contribution: tuple[int, str | None, int], sign: int
) -> None:
    count, currency, minor = contribution
    customer["order_count"] += sign * count
    if currency is not None:
        totals = customer["order_total_minor"]
        totals[currency] = totals.get(currency, 0) + sign * minor


def _put_into_recent(customer: Document, entry: Document) -> None:
    others = [order for order in customer["orders"] if order["id"] != entry["id"]]
    newest_first = sorted([*others, entry], key=_age, reverse=True)
    customer["orders"] = newest_first[:RECENT_ORDERS_MAX]


def _age(order: Document) -> tuple[str, str]:
    return order["placed_at"], order["id"]


projection.follow(CUSTOMER, Guard(row=_customer))
projection.follow(ORDER, Guard(row=_ledger, touches=lambda event: (_customer(event),)))
projection.on(CreditReserved)(credit_changed)
projection.on(CreditReleased)(credit_changed)
for body in ORDER_EVENTS:
    projection.on(body)(order_changed)
