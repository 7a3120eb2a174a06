"""What orders, credit and stock must agree on: what is held for each order once it is decided.

An order that is still pending may hold anything; nobody holds anything for an order that does not
exist.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from projectors.expectations.orders import order_facts
from slackwater.service.definition import Fact
from slackwater.verification import Facts, SharedInvariant

Data = dict[str, Any]

_UNHEARD = "UNHEARD"
_NOTHING_HELD = {_UNHEARD, "REFUSED", "RELEASED", "CLOSED"}
_CREDIT_BY_STATUS = {
    "APPROVED": {"RESERVED"},
    "SHIPPED": {"RELEASED"},
    "REJECTED": _NOTHING_HELD,
    "CANCELLED": _NOTHING_HELD,
}
_STOCK_BY_STATUS = {**_CREDIT_BY_STATUS, "SHIPPED": {"SHIPPED"}}


def _violations(facts: Facts) -> Iterator[tuple[str, str]]:
    orders = {fact.id: fact.data for fact in order_facts(facts)}
    credit = _of_kind("credit_reservation", facts["customers"])
    stock = _of_kind("stock_reservation", facts["inventory"])
    for order_id, order in orders.items():
        problems = [
            *_wrong_credit(order, credit.get(order_id)),
            *_wrong_stock(order, stock.get(order_id)),
        ]
        if problems:
            yield order_id, "; ".join(problems)
    for order_id in sorted((credit.keys() | stock.keys()) - orders.keys()):
        credit_state, stock_state = _state(credit.get(order_id)), _state(stock.get(order_id))
        yield order_id, f"no such order, but its credit is {credit_state}, its stock {stock_state}"


def _wrong_credit(order: Data, credit: Data | None) -> Iterator[str]:
    status, state = order["status"], _state(credit)
    if state not in _CREDIT_BY_STATUS.get(status, {state}):
        yield f"{status}, but its credit is {state}"
    total_minor = order["total"]["minor"]
    if credit is not None and state == "RESERVED" and credit["amount_minor"] != total_minor:
        yield f"it costs {total_minor}, but its credit is {credit['amount_minor']}"


def _wrong_stock(order: Data, stock: Data | None) -> Iterator[str]:
    status, state = order["status"], _state(stock)
    if state not in _STOCK_BY_STATUS.get(status, {state}):
        yield f"{status}, but its stock is {state}"
    wanted = _quantities(order)
    if stock is not None and stock["quantities"] not in ({}, wanted):
        yield f"it wants {wanted}, but its stock is {stock['quantities']}"


def _quantities(order: Data) -> dict[str, int]:
    quantities: Counter[str] = Counter()
    for line in order["lines"]:
        quantities[line["sku"]] += line["quantity"]
    return dict(quantities)


def _state(reservation: Data | None) -> str:
    return reservation["state"] if reservation is not None else _UNHEARD


def _of_kind(kind: str, facts: Iterable[Fact]) -> dict[str, Data]:
    return {fact.id: fact.data for fact in facts if fact.kind == kind}


shared_invariant = SharedInvariant(name="reservations", violations=_violations)
