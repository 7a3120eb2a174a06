"""The commands of the orders service."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from contracts.documents.orders import OrderDocument
from slackwater.events.event import EventBody
from slackwater.ids import new_id
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.service.commands import CommandType, Refusal
from write_services.orders import domain, order_book, pricing
from write_services.orders.catalogue import read_entries
from write_services.orders.deadline import deadline_from
from write_services.orders.domain import Order
from write_services.orders.pricing import WantedOrder


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give an order up before it has left."""

    order_id: str
    reason: str | None = None


class ShipOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tell that an approved order has left."""

    order_id: str


class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The order as the command left it."""

    order: OrderDocument


def place_order(unit: UnitOfWork, command: WantedOrder) -> OrderAnswer | Refusal:
    skus = {line.sku for line in command.lines[: pricing.LINES_MAX]}
    catalogue = read_entries(unit.connection, skus)
    placed = pricing.place(command, catalogue, deadline=deadline_from(unit.now))
    if isinstance(placed, Refusal):
        return placed
    return OrderAnswer(order=order_book.place(unit, new_id(), placed).document)


def cancel_order(unit: UnitOfWork, command: CancelOrder) -> OrderAnswer | Refusal:
    return _decide(unit, command.order_id, lambda order: domain.cancel(order, command.reason))


def ship_order(unit: UnitOfWork, command: ShipOrder) -> OrderAnswer | Refusal:
    return _decide(unit, command.order_id, domain.ship)


def _decide(
    unit: UnitOfWork, order_id: str, decide: Callable[[Order], list[EventBody] | Refusal]
) -> OrderAnswer | Refusal:
    order = order_book.find(unit.connection, order_id)
    if order is None:
        return domain.ORDER_NOT_FOUND
    decision = decide(order)
    if isinstance(decision, Refusal):
        return decision
    return OrderAnswer(order=order_book.go_on(unit, order, decision).document)


COMMANDS = (
    CommandType(name="place-order", body=WantedOrder, handle=place_order),
    CommandType(name="cancel-order", body=CancelOrder, handle=cancel_order),
    CommandType(name="ship-order", body=ShipOrder, handle=ship_order),
)
