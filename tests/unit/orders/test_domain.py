"""Decisions on orders, as given events, when a decision, then events."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.documents.orders import OrderStatus, Processing, SagaStep
from contracts.events.orders import (
    CreditAgreed,
    OrderApproved,
    OrderCancelled,
    OrderRejected,
    OrderShipped,
    RejectionReason,
    StockAgreed,
)
from slackwater.events.event import EventBody
from slackwater.service.commands import Refusal
from tests.unit.given_events import NOW, placed, published, stream
from write_services.orders import domain
from write_services.orders.domain import BrokenStreamError, Order

OUT_OF_STOCK = OrderRejected(reason=RejectionReason.OUT_OF_STOCK)
TOO_EXPENSIVE = OrderRejected(reason=RejectionReason.CREDIT_LIMIT_EXCEEDED)
TIMED_OUT = OrderRejected(reason=RejectionReason.TIMED_OUT)
CANCELLED = OrderCancelled(reason=None)
DECIDED: list[list[EventBody]] = [
    [CreditAgreed(), OrderApproved()],
    [OUT_OF_STOCK],
    [TIMED_OUT],
    [CANCELLED],
    [OrderApproved(), CANCELLED],
    [OrderApproved(), OrderShipped()],
]
AFTER_THE_DEADLINE = NOW + timedelta(seconds=30)


def given(*events: EventBody) -> Order:
    order = domain.fold(stream("order-1", placed(), *events))
    assert order is not None
    return order


def steps(order: Order) -> tuple[SagaStep, SagaStep]:
    return order.document.processing.credit, order.document.processing.stock


def test_a_placed_order_is_pending_and_waits_for_both() -> None:
    document = given().document
    assert (document.status, document.id) == (OrderStatus.PENDING, "order-1")
    assert document.placed_at == document.updated_at == NOW
    assert document.processing == Processing(
        since=NOW,
        deadline=AFTER_THE_DEADLINE,
        credit=SagaStep.WAITING,
        stock=SagaStep.WAITING,
    )


def test_the_first_agreement_is_noted() -> None:
    assert domain.agree_credit(given()) == [CreditAgreed()]
    assert domain.agree_stock(given()) == [StockAgreed()]
    assert steps(given(CreditAgreed())) == (SagaStep.AGREED, SagaStep.WAITING)
    assert steps(given(StockAgreed())) == (SagaStep.WAITING, SagaStep.AGREED)


def test_the_second_agreement_approves() -> None:
    assert domain.agree_credit(given(StockAgreed())) == [OrderApproved()]
    assert domain.agree_stock(given(CreditAgreed())) == [OrderApproved()]
    assert steps(given(CreditAgreed(), OrderApproved())) == (SagaStep.AGREED, SagaStep.AGREED)


def test_a_repeated_agreement_changes_nothing() -> None:
    assert domain.agree_credit(given(CreditAgreed())) == []
    assert domain.agree_stock(given(StockAgreed())) == []


def test_a_refusal_rejects_with_its_reason() -> None:
    assert domain.refuse(given(), RejectionReason.OUT_OF_STOCK) == [OUT_OF_STOCK]
    document = given(CreditAgreed(), OUT_OF_STOCK).document
    assert document.status is OrderStatus.REJECTED
    assert document.rejection_reason is RejectionReason.OUT_OF_STOCK


@pytest.mark.parametrize(
    ("rejected", "expected"),
    [
        (OUT_OF_STOCK, (SagaStep.WAITING, SagaStep.REFUSED)),
        (TOO_EXPENSIVE, (SagaStep.REFUSED, SagaStep.WAITING)),
        (TIMED_OUT, (SagaStep.WAITING, SagaStep.WAITING)),
    ],
)
def test_the_stage_says_who_refused(
    rejected: OrderRejected, expected: tuple[SagaStep, SagaStep]
) -> None:
    assert steps(given(rejected)) == expected


@pytest.mark.parametrize("decided", DECIDED)
def test_a_decided_order_ignores_late_answers(decided: list[EventBody]) -> None:
    order = given(*decided)
    assert domain.agree_credit(order) == []
    assert domain.agree_stock(order) == []
    assert domain.refuse(order, RejectionReason.OUT_OF_STOCK) == []
    assert domain.time_out(order, AFTER_THE_DEADLINE) == []


def test_a_silent_order_times_out_at_its_deadline() -> None:
    just_before = AFTER_THE_DEADLINE - timedelta(microseconds=1)
    assert domain.time_out(given(CreditAgreed()), just_before) == []
    assert domain.time_out(given(CreditAgreed()), AFTER_THE_DEADLINE) == [TIMED_OUT]


@pytest.mark.parametrize("events", [[], [CreditAgreed()], [CreditAgreed(), OrderApproved()]])
def test_a_pending_or_approved_order_can_be_cancelled(events: list[EventBody]) -> None:
    assert domain.cancel(given(*events), "changed my mind") == [
        OrderCancelled(reason="changed my mind")
    ]


@pytest.mark.parametrize("events", [[OUT_OF_STOCK], [CANCELLED], [OrderApproved(), OrderShipped()]])
def test_nothing_else_can_be_cancelled(events: list[EventBody]) -> None:
    assert_refused(domain.cancel(given(*events), None), "ORDER_NOT_CANCELLABLE")


def test_an_overlong_reason_is_refused() -> None:
    assert_refused(domain.cancel(given(), "x" * 501), "INVALID_INPUT")


def test_an_approved_order_can_be_shipped() -> None:
    assert domain.ship(given(CreditAgreed(), OrderApproved())) == [OrderShipped()]


@pytest.mark.parametrize("events", [[], [CreditAgreed()], [OUT_OF_STOCK], [CANCELLED]])
def test_nothing_else_can_be_shipped(events: list[EventBody]) -> None:
    assert_refused(domain.ship(given(*events)), "ORDER_NOT_SHIPPABLE")


def test_each_event_is_a_version_and_a_time() -> None:
    order = given(CreditAgreed(), OrderApproved(), OrderShipped())
    assert order.version == 4
    assert order.document.updated_at == NOW + timedelta(seconds=3)


def test_a_stream_without_its_beginning_is_broken() -> None:
    with pytest.raises(BrokenStreamError):
        domain.fold([published(OrderApproved(), "order-1", version=2)])


def test_no_events_are_no_order() -> None:
    assert domain.fold([]) is None


def assert_refused(decision: object, code: str) -> None:
    assert isinstance(decision, Refusal)
    assert decision.code == code
