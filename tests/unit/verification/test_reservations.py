"""What orders, credit and stock must agree on, and in which words it is told where they do not."""

from __future__ import annotations

import pytest

from projectors.expectations.reservations import shared_invariant
from slackwater.service.definition import Fact
from slackwater.shared_check import SharedCheck
from slackwater.verification import Facts, Violation

DECIDED = ("APPROVED", "REJECTED", "CANCELLED", "SHIPPED")


def order(status: str) -> Fact:
    lines = [{"sku": "tea", "quantity": 1}, {"sku": "milk", "quantity": 2}] * 2
    data = {"status": status, "total": {"minor": 700, "currency": "EUR"}, "lines": lines}
    return Fact(kind="order", id="order-1", version=1, data=data)


def credit(state: str, amount_minor: int = 700) -> Fact:
    data = {"state": state, "amount_minor": amount_minor}
    return Fact(kind="credit_reservation", id="order-1", version=0, data=data)


def stock(state: str, tea: int = 2) -> Fact:
    has_lines = state in {"RESERVED", "RELEASED", "SHIPPED"}
    data = {"state": state, "quantities": {"tea": tea, "milk": 4} if has_lines else {}}
    return Fact(kind="stock_reservation", id="order-1", version=1, data=data)


def facts(*given: Fact) -> Facts:
    services = {
        "orders": ("order",),
        "customers": ("credit_reservation",),
        "inventory": ("stock_reservation",),
    }
    return {name: [f for f in given if f.kind in kinds] for name, kinds in services.items()}


def problems(*given: Fact) -> list[str]:
    return [problem for _, problem in shared_invariant.violations(facts(*given))]


@pytest.mark.parametrize(
    "given",
    [
        [order("PENDING")],
        [order("PENDING"), credit("RESERVED"), stock("REFUSED")],
        [order("APPROVED"), credit("RESERVED"), stock("RESERVED")],
        [order("SHIPPED"), credit("RELEASED"), stock("SHIPPED")],
        [order("REJECTED")],
        [order("REJECTED"), credit("REFUSED"), stock("RELEASED")],
        [order("CANCELLED"), credit("CLOSED"), stock("CLOSED")],
    ],
)
def test_services_agree(given: list[Fact]) -> None:
    assert problems(*given) == []


@pytest.mark.parametrize("status", ["REJECTED", "CANCELLED", "SHIPPED"])
def test_an_order_that_is_done_with_holds_nothing(status: str) -> None:
    assert problems(order(status), credit("RESERVED"), stock("RESERVED")) == [
        f"{status}, but its credit is RESERVED; {status}, but its stock is RESERVED"
    ]


@pytest.mark.parametrize(("held", "told"), [(None, "UNHEARD"), ("RELEASED", "RELEASED")])
def test_an_approved_order_holds_both(held: str | None, told: str) -> None:
    given = [order("APPROVED"), *([credit(held), stock(held)] if held else [])]
    assert problems(*given) == [
        f"APPROVED, but its credit is {told}; APPROVED, but its stock is {told}"
    ]


def test_goods_leave_the_house_for_shipped_orders_only() -> None:
    assert problems(order("SHIPPED"), credit("RELEASED"), stock("RELEASED")) == [
        "SHIPPED, but its stock is RELEASED"
    ]
    assert problems(order("CANCELLED"), credit("RELEASED"), stock("SHIPPED")) == [
        "CANCELLED, but its stock is SHIPPED"
    ]


@pytest.mark.parametrize("status", ["PENDING", "APPROVED"])
def test_what_is_held_is_what_the_order_asks_for(status: str) -> None:
    assert problems(order(status), credit("RESERVED", 699), stock("RESERVED", tea=1)) == [
        "it costs 700, but its credit is 699; "
        "it wants {'tea': 2, 'milk': 4}, but its stock is {'tea': 1, 'milk': 4}"
    ]


def test_nothing_is_held_for_an_order_that_does_not_exist() -> None:
    assert problems(stock("RESERVED")) == [
        "no such order, but its credit is UNHEARD, its stock RESERVED"
    ]


async def test_what_is_only_late_is_no_violation() -> None:
    check = SharedCheck(shared_invariant)
    await check.look(facts(order("CANCELLED"), credit("RESERVED"), stock("RELEASED")))
    assert [each.id for each in check.violations] == ["order-1"]
    await check.look(facts(order("CANCELLED"), credit("RELEASED"), stock("RELEASED")))
    assert check.is_fine
    await check.look(facts(order("CANCELLED"), credit("RELEASED"), stock("RESERVED")))
    assert check.is_fine, "this began only now"


async def test_what_lasts_is_a_violation_in_the_words_of_the_last_look() -> None:
    check = SharedCheck(shared_invariant)
    await check.look(facts(order("APPROVED"), credit("RELEASED"), stock("RESERVED")))
    await check.look(facts(order("SHIPPED"), credit("RESERVED"), stock("SHIPPED")))
    assert check.violations == [
        Violation(
            invariant="reservations", id="order-1", problem="SHIPPED, but its credit is RESERVED"
        )
    ]


def test_every_decided_status_is_ruled() -> None:
    assert all(problems(order(status), credit("?"), stock("?")) for status in DECIDED)
