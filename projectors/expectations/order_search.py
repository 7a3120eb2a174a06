"""What `order_search` should hold: a text for every order, product and customer."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.documents.order_search import ORDER_SEARCH_INDEX
from contracts.read_models import ORDER_SEARCH
from projectors.expectations.orders import order_facts
from slackwater.read_models.documents import Document
from slackwater.service.definition import Fact
from slackwater.verification import Expectation, Facts, Holding


def _holdings(facts: Facts) -> Iterator[tuple[str, Holding]]:
    for fact in order_facts(facts):
        yield _entry("ORDER", fact, _order(fact))
    for fact in facts["inventory"]:
        if fact.kind == "product":
            yield _entry("PRODUCT", fact, _product(fact))
    for fact in facts["customers"]:
        if fact.kind == "customer":
            yield _entry("CUSTOMER", fact, _customer(fact))


def _entry(kind: str, fact: Fact, texts: Document) -> tuple[str, Holding]:
    hit_id = f"{kind}:{fact.id}"
    return hit_id, Holding(fact.version, {"id": hit_id, "kind": kind, **texts})


def _order(fact: Fact) -> Document:
    lines = fact.data["lines"]
    names = [line["product_name"] for line in lines]
    return {
        "title": fact.id,
        "codes": " ".join(line["sku"] for line in lines),
        "text": " ".join([*names, fact.data["note"] or ""]),
        "status": fact.data["status"],
    }


def _product(fact: Fact) -> Document:
    product = fact.data
    return {"title": product["name"], "codes": fact.id, "text": product["description"]}


def _customer(fact: Fact) -> Document:
    return {"title": fact.data["name"], "codes": fact.data["email"]}


expectation = Expectation(
    read_model=ORDER_SEARCH.name,
    collection=ORDER_SEARCH_INDEX.name,
    searched=True,
    holdings=_holdings,
)
