"""The document of one product: read model `products`, and the answer of the inventory service."""

from __future__ import annotations

import msgspec

from contracts.money import Money
from slackwater.read_models.documents import Collection


class ProductDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One product; `id` is its sku."""

    id: str
    sku: str
    name: str
    description: str
    price: Money
    stock_available: int


PRODUCTS_COLLECTION = Collection(name="products")
