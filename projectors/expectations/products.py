"""What `products` should hold: every product as it stands in inventory's tables."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.documents.products import PRODUCTS_COLLECTION
from contracts.read_models import PRODUCTS_MODEL
from slackwater.verification import Expectation, Facts, Holding


def _holdings(facts: Facts) -> Iterator[tuple[str, Holding]]:
    for fact in facts["inventory"]:
        if fact.kind == "product":
            yield fact.id, Holding(fact.version, fact.data)


expectation = Expectation(
    read_model=PRODUCTS_MODEL.name, collection=PRODUCTS_COLLECTION.name, holdings=_holdings
)
