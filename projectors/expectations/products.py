"""What `products` should hold: every product as it stands in inventory's tables."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.documents.products import PRODUCTS_COLLECTION
from contracts.read_models import PRODUCTS_MODEL
from slackwater.read_models.documents import Document
from slackwater.verification import Expectation, Facts


def _documents(facts: Facts) -> Iterator[tuple[str, Document]]:
    return ((fact.id, fact.data) for fact in facts["inventory"] if fact.kind == "product")


expectation = Expectation(
    read_model=PRODUCTS_MODEL.name, collection=PRODUCTS_COLLECTION.name, documents=_documents
)
