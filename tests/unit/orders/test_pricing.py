"""Pricing of orders from the catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.events.orders import OrderPlaced
from contracts.money import Money
from slackwater.service.commands import Refusal
from tests.unit.given_events import NOW, euros, line
from write_services.orders.pricing import CatalogueEntry, WantedLine, WantedOrder, place

CATALOGUE = {
    "tea": CatalogueEntry(sku="tea", name="Tea", price=euros(250), version=1),
    "gold": CatalogueEntry(sku="gold", name="Gold", price=euros(10**12), version=1),
    "cola": CatalogueEntry(
        sku="cola", name="Cola", price=Money(minor=100, currency="USD"), version=1
    ),
}


def when_placing(*wanted: tuple[str, int], **fields: Any) -> OrderPlaced | Refusal:
    lines = [WantedLine(sku=sku, quantity=quantity) for sku, quantity in wanted]
    order = WantedOrder(**{"customer_id": "customer-1", "lines": lines, **fields})
    return place(order, CATALOGUE, deadline=NOW)


def test_lines_are_priced_and_kept_as_they_were_given() -> None:
    order = when_placing(("tea", 2), ("tea", 1), note="with care")
    assert order == OrderPlaced(
        customer_id="customer-1",
        lines=[line("tea", 2, euros(250)), line("tea", 1, euros(250))],
        total=euros(750),
        note="with care",
        deadline=NOW,
    )


def test_an_unknown_product_is_refused_by_name() -> None:
    refusal = when_placing(("tea", 1), ("unobtainium", 1))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.details) == ("PRODUCT_NOT_FOUND", {"sku": "unobtainium"})


def test_the_expected_total_is_held_to() -> None:
    assert isinstance(when_placing(("tea", 2), expected_total=euros(500)), OrderPlaced)
    refusal = when_placing(("tea", 2), expected_total=euros(499))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "PRICE_CHANGED"
    assert refusal.details == {"total": {"minor": 500, "currency": "EUR"}}


@pytest.mark.parametrize(
    ("wanted", "fields", "field"),
    [
        ([], {}, "lines"),
        ([("tea", 1)] * 101, {}, "lines"),
        ([("tea", 0)], {}, "lines"),
        ([("tea", 1_000_001)], {}, "lines"),
        ([("tea", 1), ("cola", 1)], {}, "lines"),
        ([("gold", 1_000_000)], {}, "lines"),
        ([("tea", 1)], {"note": "x" * 1_001}, "note"),
        ([("tea", 1)], {"customer_id": ""}, "customer_id"),
    ],
)
def test_bad_input_names_its_field(
    wanted: list[tuple[str, int]], fields: dict[str, Any], field: str
) -> None:
    refusal = when_placing(*wanted, **fields)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.details) == ("INVALID_INPUT", {"field": field})
