"""What an order costs: its lines priced from the catalogue, never by the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from contracts.events.orders import OrderLine, OrderPlaced
from contracts.money import Money
from slackwater.service.commands import Refusal

LINES_MAX = 100
QUANTITY_MAX = 1_000_000
TOTAL_MINOR_MAX = 10**15
NOTE_LENGTH_MAX = 1_000
CUSTOMER_ID_LENGTH_MAX = 64


class WantedLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client asks for."""

    sku: str
    quantity: int


class WantedOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order as a client asks for it; `expected_total` is what it believes to pay."""

    customer_id: str
    lines: list[WantedLine]
    note: str | None = None
    expected_total: Money | None = None


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What orders knows of a product."""

    sku: str
    name: str
    price: Money
    version: int


def place(
    wanted: WantedOrder, catalogue: Mapping[str, CatalogueEntry], *, deadline: datetime
) -> OrderPlaced | Refusal:
    """Price an order; lines stay as they were given."""
    lines = _refuse_input(wanted) or _price(wanted.lines, catalogue)
    if isinstance(lines, Refusal):
        return lines
    total = _sum(lines)
    if isinstance(total, Refusal):
        return total
    if wanted.expected_total not in (None, total):
        return _price_changed(total)
    return OrderPlaced(
        customer_id=wanted.customer_id,
        lines=lines,
        total=total,
        note=wanted.note,
        deadline=deadline,
    )


def _refuse_input(wanted: WantedOrder) -> Refusal | None:
    customer_id = wanted.customer_id
    if not 1 <= len(customer_id) <= CUSTOMER_ID_LENGTH_MAX or not customer_id.isprintable():
        return _invalid("customer_id", f"An id has 1 to {CUSTOMER_ID_LENGTH_MAX} characters.")
    if not 1 <= len(wanted.lines) <= LINES_MAX:
        return _invalid("lines", f"An order has 1 to {LINES_MAX} lines.")
    if any(not 1 <= line.quantity <= QUANTITY_MAX for line in wanted.lines):
        return _invalid("lines", f"A quantity is 1 to {QUANTITY_MAX}.")
    note = wanted.note or ""
    if len(note) > NOTE_LENGTH_MAX or "\0" in note:
        return _invalid("note", f"A note has at most {NOTE_LENGTH_MAX} characters.")
    return None


def _price(
    wanted: Sequence[WantedLine], catalogue: Mapping[str, CatalogueEntry]
) -> list[OrderLine] | Refusal:
    for line in wanted:
        if line.sku not in catalogue:
            return Refusal(
                code="PRODUCT_NOT_FOUND",
                message=f"There is no product {line.sku}.",
                details={"sku": line.sku},
            )
    return [_price_line(line, catalogue[line.sku]) for line in wanted]


def _price_line(wanted: WantedLine, entry: CatalogueEntry) -> OrderLine:
    minor = entry.price.minor * wanted.quantity
    return OrderLine(
        sku=entry.sku,
        product_name=entry.name,
        quantity=wanted.quantity,
        unit_price=entry.price,
        total=Money(minor=minor, currency=entry.price.currency),
    )


def _sum(lines: Sequence[OrderLine]) -> Money | Refusal:
    currencies = {line.total.currency for line in lines}
    if len(currencies) > 1:
        return _invalid("lines", f"One currency an order, not {', '.join(sorted(currencies))}.")
    minor = sum(line.total.minor for line in lines)
    if minor > TOTAL_MINOR_MAX:
        return _invalid("lines", f"An order costs at most {TOTAL_MINOR_MAX} minor units.")
    return Money(minor=minor, currency=currencies.pop())


def _price_changed(total: Money) -> Refusal:
    return Refusal(
        code="PRICE_CHANGED",
        message="The order costs something else than expected; look at the total and ask again.",
        details={"total": msgspec.to_builtins(total)},
    )


def _invalid(field: str, message: str) -> Refusal:
    return Refusal(code="INVALID_INPUT", message=message, details={"field": field})
