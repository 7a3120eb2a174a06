"""Laws of deciding orders, however the answers are repeated, reordered or late."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.documents.orders import OrderStatus
from contracts.events.customers import CreditRefusalReason, CreditRefused, CreditReserved
from contracts.events.inventory import (
    ProductAdded,
    StockRefusalReason,
    StockRefused,
    StockReserved,
)
from contracts.events.orders import OrderApproved, OrderCancelled, OrderRejected
from slackwater.events.event import Recorded
from slackwater.service.commands import Refusal
from tests.unit.given_events import NOW, euros, published
from tests.unit.service_in_memory import ServiceInMemory, in_memory
from write_services.orders.service import service

CUSTOMER = "customer-1"
TIME_OUT = object()
CANCEL = object()


def stocked(orders: ServiceInMemory) -> None:
    tea = ProductAdded(name="Tea", description="", price=euros(100), stock_available=1)
    orders.hear(published(tea, "tea"))


def place(orders: ServiceInMemory) -> str:
    lines = [{"sku": "tea", "quantity": 1}]
    answer = orders.command("place-order", customer_id=CUSTOMER, lines=lines)
    order_id: str = answer.order.id
    return order_id


def credit_answer(order_id: str, agrees: bool) -> Recorded[Any]:
    if agrees:
        reserved = CreditReserved(order_id=order_id, amount=euros(1), credit_reserved=euros(1))
        return published(reserved, CUSTOMER)
    refused = CreditRefused(
        order_id=order_id, customer_id=CUSTOMER, reason=CreditRefusalReason.UNKNOWN_CUSTOMER
    )
    return published(refused, order_id, key=CUSTOMER)


def stock_answer(order_id: str, agrees: bool) -> Recorded[Any]:
    refused = StockRefused(reason=StockRefusalReason.OUT_OF_STOCK, sku="tea")
    return published(StockReserved() if agrees else refused, order_id, key=CUSTOMER)


def meet(orders: ServiceInMemory, order_id: str, happening: Any) -> None:
    if happening is TIME_OUT:
        orders.work(NOW + timedelta(seconds=30))
    elif happening is CANCEL:
        orders.command("cancel-order", order_id=order_id)
    else:
        orders.hear(happening)


def status(orders: ServiceInMemory, order_id: str) -> str:
    return str(orders.facts("order")[order_id].data["status"])


@settings(max_examples=80)
@given(
    credit=st.none() | st.booleans(),
    stock=st.none() | st.booleans(),
    endings=st.lists(st.sampled_from([TIME_OUT, CANCEL]), max_size=1),
    random=st.randoms(use_true_random=False),
)
def test_whatever_happens_an_order_is_decided_once(
    credit: bool | None, stock: bool | None, endings: list[object], random: Any
) -> None:
    with in_memory(service) as orders:
        stocked(orders)
        order_id = place(orders)
        happenings: list[Any] = list(endings)
        happenings += [credit_answer(order_id, credit)] * 2 if credit is not None else []
        happenings += [stock_answer(order_id, stock)] * 2 if stock is not None else []
        random.shuffle(happenings)
        for happening in happenings:
            meet(orders, order_id, happening)
            assert orders.violations() == []
        deciding = [
            type(body)
            for body in orders.bodies()
            if isinstance(body, OrderApproved | OrderRejected | OrderCancelled)
        ]
        assert deciding in (
            [],
            [OrderApproved],
            [OrderRejected],
            [OrderCancelled],
            [OrderApproved, OrderCancelled],
        )
        if not endings:
            assert status(orders, order_id) == expected_status(credit, stock)


def expected_status(credit: bool | None, stock: bool | None) -> str:
    if credit is False or stock is False:
        return OrderStatus.REJECTED
    return OrderStatus.APPROVED if credit and stock else OrderStatus.PENDING


@settings(max_examples=20)
@given(versions=st.permutations([1, 2, 3, 3]))
def test_the_newest_version_of_a_product_is_the_one_sold(versions: list[int]) -> None:
    with in_memory(service) as orders:
        for version in versions:
            tea = ProductAdded(name="Tea", description="", price=euros(version), stock_available=1)
            orders.hear(published(tea, "tea", version=version))
        place(orders)
        assert orders.bodies()[0].total == euros(3)


def test_an_answer_to_an_unknown_order_is_ignored() -> None:
    with in_memory(service) as orders:
        orders.hear(stock_answer("never-placed", True))
        assert orders.bodies() == []


def test_the_deadline_comes_once_for_each_pending_order() -> None:
    with in_memory(service) as orders:
        stocked(orders)
        silent, answered = place(orders), place(orders)
        for answer in (credit_answer(answered, True), stock_answer(answered, True)):
            orders.hear(answer)
        orders.work(NOW + timedelta(milliseconds=29_999))
        assert status(orders, silent) == OrderStatus.PENDING
        orders.work(NOW + timedelta(milliseconds=30_000))
        orders.work(NOW + timedelta(milliseconds=31_000))
        assert status(orders, silent) == OrderStatus.REJECTED
        assert status(orders, answered) == OrderStatus.APPROVED
        assert orders.violations() == []


def test_what_is_not_there_cannot_be_cancelled_or_shipped() -> None:
    with in_memory(service) as orders:
        for command in ("cancel-order", "ship-order"):
            refusal = orders.command(command, order_id="never-placed")
            assert isinstance(refusal, Refusal)
            assert refusal.code == "ORDER_NOT_FOUND"
