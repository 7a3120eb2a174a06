"""Credit decisions, as given, when and then."""

from __future__ import annotations

import pytest

from contracts.events.customers import (
    CreditLimitChanged,
    CreditRefusalReason,
    CreditRefused,
    CreditReleased,
    CreditReserved,
    CustomerCreated,
)
from contracts.money import Money
from slackwater.service.commands import Refusal
from tests.unit.given_events import NOW, euros
from write_services.customers import domain
from write_services.customers.domain import CreditEvent, Customer

DOLLARS = Money(minor=100, currency="USD")


def given(*events: CreditEvent, limit: int = 1_000) -> Customer:
    first = CustomerCreated(name="Ada", email="ada@example.com", credit_limit=euros(limit))
    customer = domain.created(first, customer_id="customer-1", at=NOW)
    for event in events:
        customer = domain.apply(customer, event)
    return customer


def reserved(minor: int, order_id: str = "order-0") -> CreditReserved:
    return CreditReserved(order_id=order_id, amount=euros(minor), credit_reserved=euros(minor))


def when_reserving(customer: Customer | None, amount: Money) -> CreditReserved | CreditRefused:
    return domain.reserve(customer, customer_id="customer-1", order_id="order-1", amount=amount)


def test_credit_is_reserved_up_to_the_limit() -> None:
    answer = when_reserving(given(reserved(400)), euros(600))
    assert answer == CreditReserved(
        order_id="order-1", amount=euros(600), credit_reserved=euros(1_000)
    )


@pytest.mark.parametrize(
    ("customer", "amount", "reason"),
    [
        (given(reserved(400)), euros(601), CreditRefusalReason.CREDIT_LIMIT_EXCEEDED),
        (given(), DOLLARS, CreditRefusalReason.CURRENCY_MISMATCH),
        (None, euros(1), CreditRefusalReason.UNKNOWN_CUSTOMER),
    ],
)
def test_credit_is_refused_with_the_reason(
    customer: Customer | None, amount: Money, reason: CreditRefusalReason
) -> None:
    answer = when_reserving(customer, amount)
    assert answer == CreditRefused(order_id="order-1", customer_id="customer-1", reason=reason)


def test_released_credit_can_be_reserved_again() -> None:
    released = domain.release(given(reserved(1_000)), order_id="order-0", amount=euros(1_000))
    assert released == CreditReleased(
        order_id="order-0", amount=euros(1_000), credit_reserved=euros(0)
    )
    after = given(reserved(1_000), released)
    assert isinstance(when_reserving(after, euros(1_000)), CreditReserved)


def test_every_event_makes_the_next_version() -> None:
    customer = given(reserved(10), CreditLimitChanged(credit_limit=euros(50)))
    assert customer.version == 3
    assert (customer.credit_limit, customer.credit_reserved) == (euros(50), euros(10))


def test_a_limit_may_fall_to_what_is_reserved() -> None:
    decision = domain.change_credit_limit(given(reserved(400)), euros(400))
    assert decision == CreditLimitChanged(credit_limit=euros(400))


def test_a_limit_below_what_is_reserved_is_refused() -> None:
    decision = domain.change_credit_limit(given(reserved(400)), euros(399))
    assert isinstance(decision, Refusal)
    assert decision.code == "CREDIT_LIMIT_BELOW_RESERVED"
    assert decision.details == {"credit_reserved": {"minor": 400, "currency": "EUR"}}


@pytest.mark.parametrize("limit", [DOLLARS, euros(-1), euros(10**15 + 1)])
def test_an_impossible_new_limit_is_refused(limit: Money) -> None:
    assert_invalid(domain.change_credit_limit(given(), limit), "credit_limit")


@pytest.mark.parametrize(
    ("name", "email", "limit", "field"),
    [
        (" ", "ada@example.com", euros(1), "name"),
        ("x" * 201, "ada@example.com", euros(1), "name"),
        ("Ada\x00", "ada@example.com", euros(1), "name"),
        ("Ada", "ada.example.com", euros(1), "email"),
        ("Ada", "@", euros(1), "email"),
        ("Ada", "a@" + "b" * 253, euros(1), "email"),
        ("Ada", "ada@example.com", euros(-1), "credit_limit"),
        ("Ada", "ada@example.com", Money(minor=1, currency="euro"), "credit_limit"),
    ],
)
def test_bad_input_names_its_field(name: str, email: str, limit: Money, field: str) -> None:
    assert_invalid(domain.create(name, email, limit), field)


def assert_invalid(decision: object, field: str) -> None:
    assert isinstance(decision, Refusal)
    assert (decision.code, decision.details) == ("INVALID_INPUT", {"field": field})
