"""What `orders` should hold: every order as the orders service folds it from its own events."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.documents.orders import ORDERS_COLLECTION
from contracts.read_models import ORDERS_MODEL
from contracts.timestamps import from_text, to_text
from slackwater.read_models.documents import Document
from slackwater.service.definition import Fact
from slackwater.verification import Expectation, Facts, Holding


def order_document(fact: Fact) -> Document:
    """Return the order's document, its moments in the documents' text form."""
    order = fact.data
    processing = order["processing"]
    return {
        **order,
        "placed_at": _moment(order["placed_at"]),
        "updated_at": _moment(order["updated_at"]),
        "processing": {
            **processing,
            "since": _moment(processing["since"]),
            "deadline": _moment(processing["deadline"]),
        },
    }


def order_facts(facts: Facts) -> Iterator[Fact]:
    """Yield the facts that are orders."""
    return (fact for fact in facts["orders"] if fact.kind == "order")


def _holdings(facts: Facts) -> Iterator[tuple[str, Holding]]:
    for fact in order_facts(facts):
        yield fact.id, Holding(fact.version, order_document(fact))


def _moment(text: str) -> str:
    return to_text(from_text(text))


expectation = Expectation(
    read_model=ORDERS_MODEL.name, collection=ORDERS_COLLECTION.name, holdings=_holdings
)
