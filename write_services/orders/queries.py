"""Reads of the orders themselves, for answers that must not be stale or that look back."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection

from slackwater.events.event import Recorded
from slackwater.service.definition import Query
from slackwater.service.parameters import listed, moment, required
from write_services.orders import order_book
from write_services.orders.customer_orders import customer_orders
from write_services.orders.tables import streams


def one_order(connection: Connection, parameters: dict[str, str]) -> Any:
    as_of = moment(parameters["as_of"], "as_of") if parameters.get("as_of") else None
    order = order_book.find(connection, required(parameters, "id"), as_of=as_of)
    return msgspec.to_builtins(order.document) if order is not None else None


def many_orders(connection: Connection, parameters: dict[str, str]) -> Any:
    found = order_book.find_many(connection, listed(parameters, "ids"))
    return [msgspec.to_builtins(order.document) for order in found]


def order_history(connection: Connection, parameters: dict[str, str]) -> Any:
    history = streams.load(connection, required(parameters, "id"))
    return [_entry(recorded) for recorded in history] or None


def _entry(recorded: Recorded[Any]) -> dict[str, Any]:
    event = recorded.event
    return {
        "id": event.id,
        "type": event.type,
        "version": event.version,
        "recorded_at": msgspec.to_builtins(event.time),
        "actor": event.cause.actor,
        "correlation_id": event.cause.correlation_id,
        "data": msgspec.to_builtins(recorded.body),
    }


QUERIES = (
    Query(name="order", answer=one_order),
    Query(name="orders", answer=many_orders),
    Query(name="customer-orders", answer=customer_orders),
    Query(name="order-history", answer=order_history),
)
