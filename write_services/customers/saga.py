"""Credit's part in deciding an order: reserve or refuse, and release what is needed no longer.

Each order has one row here that remembers what came of it, so a step may be repeated, and steps may
come in any order, without credit being reserved twice, released twice, or left behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from contracts.events.customers import CreditRefused
from contracts.events.orders import OrderCancelled, OrderPlaced, OrderRejected, OrderShipped
from contracts.money import Money
from slackwater.events.event import Recorded
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.service.definition import Consumer
from write_services.customers import accounts, domain, reservations
from write_services.customers.reservations import Reservation, ReservationState

credit = Consumer("credit")


@credit.locking_first
def lock_accounts(connection: Connection, events: Sequence[Recorded[Any]]) -> None:
    # An order's events are keyed by its customer.
    accounts.lock(connection, {each.event.partition_key for each in events})


@credit.on(OrderPlaced, may_be_discarded=True)  # nothing is reserved, and the order times out
def reserve_credit(unit: UnitOfWork, placed: Recorded[OrderPlaced]) -> None:
    order_id, order = placed.event.aggregate_id, placed.body
    if reservations.find(unit.connection, order_id) is not None:
        return
    customer = accounts.find(unit.connection, order.customer_id, for_change=True)
    answer = domain.reserve(
        customer, customer_id=order.customer_id, order_id=order_id, amount=order.total
    )
    if customer is None or isinstance(answer, CreditRefused):
        _remember(unit, placed, ReservationState.REFUSED)
        unit.add(answer, aggregate_id=order_id, version=1, partition_key=order.customer_id)
    else:
        _remember(unit, placed, ReservationState.RESERVED)
        accounts.change_account(unit, customer, answer)


def release_credit(unit: UnitOfWork, closed: Recorded[Any]) -> None:
    order_id = closed.event.aggregate_id
    reservation = reservations.find(unit.connection, order_id)
    if reservation is None:
        _close_unheard(unit, closed)
    elif reservation.state is ReservationState.RESERVED:
        _release(unit, reservation)


for _closing in (OrderRejected, OrderCancelled, OrderShipped):
    credit.on(_closing)(release_credit)


def _release(unit: UnitOfWork, reservation: Reservation) -> None:
    customer = accounts.find(unit.connection, reservation.customer_id, for_change=True)
    if customer is None:
        raise LookupError(f"customer {reservation.customer_id} of a reservation is missing")
    amount = Money(minor=reservation.amount_minor, currency=customer.currency)
    reservations.mark_released(unit.connection, reservation.order_id)
    released = domain.release(customer, order_id=reservation.order_id, amount=amount)
    accounts.change_account(unit, customer, released)


def _close_unheard(unit: UnitOfWork, closed: Recorded[Any]) -> None:
    with unit.without_event("nothing was reserved; the row only stops a late OrderPlaced"):
        reservations.insert_reservation(
            unit.connection,
            Reservation(
                order_id=closed.event.aggregate_id,
                customer_id=closed.event.partition_key,
                amount_minor=0,
                state=ReservationState.CLOSED,
            ),
        )


def _remember(unit: UnitOfWork, placed: Recorded[OrderPlaced], state: ReservationState) -> None:
    reservations.insert_reservation(
        unit.connection,
        Reservation(
            order_id=placed.event.aggregate_id,
            customer_id=placed.body.customer_id,
            amount_minor=placed.body.total.minor,
            state=state,
        ),
    )
