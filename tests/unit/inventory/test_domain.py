"""Stock decisions, as given, when and then."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.events.inventory import (
    ProductAdded,
    ProductReleased,
    ProductReserved,
    ProductRestocked,
    StockRefusalReason,
    StockRefused,
)
from contracts.money import Money
from slackwater.service.commands import Refusal
from tests.unit.given_events import euros, line
from write_services.inventory import domain
from write_services.inventory.domain import Product


def given(sku: str = "tea", stock: int = 10) -> Product:
    event = ProductAdded(name=sku, description="", price=euros(100), stock_available=stock)
    return domain.added(event, sku=sku)


def when_adding(known: Product | None = None, **changes: Any) -> ProductAdded | Refusal:
    wish = {"sku": "tea", "name": "Tea", "description": "", "price": euros(1), "stock": 1}
    return domain.add(known, **{**wish, **changes})


def test_lines_of_one_sku_add_up() -> None:
    lines = [line("tea", 2), line("milk", 1), line("tea", 3)]
    assert domain.wanted(lines) == {"tea": 5, "milk": 1}


def test_all_lines_are_reserved() -> None:
    products = {"tea": given("tea", 5), "milk": given("milk", 1)}
    answer = domain.reserve({"tea": 5, "milk": 1}, products, order_id="order-1")
    assert answer == {
        "tea": ProductReserved(order_id="order-1", quantity=5, stock_available=0),
        "milk": ProductReserved(order_id="order-1", quantity=1, stock_available=0),
    }


@pytest.mark.parametrize("products", [{"tea": given()}, {"tea": given(), "milk": given("milk", 1)}])
def test_one_line_that_cannot_be_had_refuses_the_order(products: dict[str, Product]) -> None:
    answer = domain.reserve({"tea": 1, "milk": 2}, products, order_id="order-1")
    assert answer == StockRefused(reason=StockRefusalReason.OUT_OF_STOCK, sku="milk")


def test_released_stock_is_available_again() -> None:
    released = domain.release(given(stock=3), 2, order_id="order-1")
    assert released == ProductReleased(order_id="order-1", quantity=2, stock_available=5)
    after = domain.apply(given(stock=3), released)
    assert (after.stock_available, after.version) == (5, 2)


def test_restocking_adds_to_the_stock() -> None:
    assert domain.restock(given(stock=3), 2) == ProductRestocked(quantity=2, stock_available=5)


@pytest.mark.parametrize("quantity", [0, -1, 10**9])
def test_an_impossible_restocking_is_refused(quantity: int) -> None:
    assert_invalid(domain.restock(given(), quantity), "quantity")


def test_a_sku_is_given_once() -> None:
    decision = when_adding(known=given())
    assert isinstance(decision, Refusal)
    assert decision.code == "DUPLICATE_SKU"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sku", ""),
        ("sku", "a,b"),
        ("sku", " tea"),
        ("sku", "x" * 65),
        ("name", ""),
        ("description", "x" * 5_001),
        ("price", euros(-1)),
        ("price", Money(minor=1, currency="EURO")),
        ("stock", -1),
        ("stock", 10**9 + 1),
    ],
)
def test_bad_input_names_its_field(field: str, value: object) -> None:
    assert_invalid(when_adding(**{field: value}), field)


def assert_invalid(decision: object, field: str) -> None:
    assert isinstance(decision, Refusal)
    assert (decision.code, decision.details) == ("INVALID_INPUT", {"field": field})
