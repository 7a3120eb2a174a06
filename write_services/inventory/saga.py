"""Stock's part in deciding an order: reserve all or refuse, release, and let shipped goods go.

Each order has one row here that remembers what came of it, so a step may be repeated, and steps may
come in any order, without stock being taken twice, given back twice, or left behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from contracts.events.inventory import StockRefused, StockReleased, StockReserved, StockShipped
from contracts.events.orders import OrderCancelled, OrderPlaced, OrderRejected, OrderShipped
from slackwater.events.event import Recorded
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.service.definition import Consumer
from write_services.inventory import domain, products, reservations
from write_services.inventory.reservations import Reservation, ReservationState

stock = Consumer("stock")


@stock.locking_first
def lock_products(connection: Connection, events: Sequence[Recorded[Any]]) -> None:
    placed = [each.body for each in events if isinstance(each.body, OrderPlaced)]
    wanted = {line.sku for order in placed for line in order.lines}
    order_ids = {each.event.aggregate_id for each in events}
    products.lock(connection, wanted | reservations.skus_of(connection, order_ids))


@stock.on(OrderPlaced, may_be_discarded=True)  # nothing is taken, and the order times out
def reserve_stock(unit: UnitOfWork, placed: Recorded[OrderPlaced]) -> None:
    order_id = placed.event.aggregate_id
    if reservations.find(unit.connection, order_id) is not None:
        return
    quantities = domain.wanted(placed.body.lines)
    found = products.lock(unit.connection, quantities)
    answer = domain.reserve(quantities, found, order_id=order_id)
    if isinstance(answer, StockRefused):
        reservations.open_reservation(unit, _opened(placed, ReservationState.REFUSED), answer)
        return
    reservation = _opened(placed, ReservationState.RESERVED)
    reservations.open_reservation(unit, reservation, StockReserved(), quantities)
    for sku, reserved in answer.items():
        products.change_stock(unit, found[sku], reserved)


def release_stock(unit: UnitOfWork, closed: Recorded[Any]) -> None:
    order_id = closed.event.aggregate_id
    reservation = reservations.find(unit.connection, order_id)
    if reservation is None:
        _close_unheard(unit, closed)
    elif reservation.state is ReservationState.RESERVED:
        _give_back(unit, order_id)
        reservations.close_reservation(
            unit, reservation, ReservationState.RELEASED, StockReleased()
        )


stock.on(OrderRejected)(release_stock)
stock.on(OrderCancelled)(release_stock)


@stock.on(OrderShipped)
def ship_stock(unit: UnitOfWork, shipped: Recorded[OrderShipped]) -> None:
    reservation = reservations.find(unit.connection, shipped.event.aggregate_id)
    if reservation is None:
        _close_unheard(unit, shipped)
    elif reservation.state is ReservationState.RESERVED:
        reservations.close_reservation(unit, reservation, ReservationState.SHIPPED, StockShipped())


def _opened(placed: Recorded[OrderPlaced], state: ReservationState) -> Reservation:
    event = placed.event
    return Reservation(
        order_id=event.aggregate_id, customer_id=event.partition_key, state=state, version=1
    )


def _give_back(unit: UnitOfWork, order_id: str) -> None:
    quantities = reservations.quantities_of(unit.connection, order_id)
    found = products.lock(unit.connection, quantities)
    for sku, quantity in quantities.items():
        released = domain.release(found[sku], quantity, order_id=order_id)
        products.change_stock(unit, found[sku], released)


def _close_unheard(unit: UnitOfWork, closed: Recorded[Any]) -> None:
    with unit.without_event("nothing was reserved; the row only stops a late OrderPlaced"):
        reservations.insert_reservation(
            unit.connection,
            Reservation(
                order_id=closed.event.aggregate_id,
                customer_id=closed.event.partition_key,
                state=ReservationState.CLOSED,
                version=0,
            ),
        )
