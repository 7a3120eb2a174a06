"""What `customer_orders` should hold: customers' own rows, joined with the orders' own events."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from contracts.documents.customers import CUSTOMERS_COLLECTION, RECENT_ORDERS_MAX
from contracts.read_models import CUSTOMER_ORDERS
from contracts.timestamps import from_text, to_text
from projectors.expectations.orders import order_document, order_facts
from slackwater.read_models.documents import Document
from slackwater.verification import Expectation, Facts, Holding


def _holdings(facts: Facts) -> Iterator[tuple[str, Holding]]:
    orders: defaultdict[str, list[Document]] = defaultdict(list)
    for fact in order_facts(facts):
        orders[fact.data["customer_id"]].append(order_document(fact))
    for fact in facts["customers"]:
        if fact.kind == "customer":
            yield fact.id, Holding(fact.version, _customer(fact.data, orders[fact.id]))


def _customer(customer: dict[str, Any], orders: list[Document]) -> Document:
    newest_first = sorted(orders, key=lambda order: (order["placed_at"], order["id"]), reverse=True)
    return {
        **customer,
        "created_at": to_text(from_text(customer["created_at"])),
        "orders": newest_first[:RECENT_ORDERS_MAX],
        "order_count": len(orders),
        "order_total_minor": _totals(orders),
    }


def _totals(orders: list[Document]) -> dict[str, int]:
    """Sum by currency; an order that came to nothing leaves its currency with what others give."""
    totals: Counter[str] = Counter()
    for order in orders:
        came_to_nothing = order["status"] in {"REJECTED", "CANCELLED"}
        totals[order["total"]["currency"]] += 0 if came_to_nothing else order["total"]["minor"]
    return dict(totals)


expectation = Expectation(
    read_model=CUSTOMER_ORDERS.name, collection=CUSTOMERS_COLLECTION.name, holdings=_holdings
)
