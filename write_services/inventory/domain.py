"""Stock as pure decisions: which events answer a wish, and what they change.

An order gets all of its lines or none. A decision never takes more than is there; the table's
CHECK constraint says it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from contracts.documents.products import ProductDocument
from contracts.events.inventory import (
    ProductAdded,
    ProductReleased,
    ProductReserved,
    ProductRestocked,
    StockRefusalReason,
    StockRefused,
)
from contracts.events.orders import OrderLine
from contracts.money import Money
from slackwater.service.commands import Refusal

SKU_LENGTH_MAX = 64
NAME_LENGTH_MAX = 200
DESCRIPTION_LENGTH_MAX = 5_000
PRICE_MINOR_MAX = 10**12
STOCK_MAX = 10**9

_CURRENCY = re.compile(r"[A-Z]{3}")

PRODUCT_NOT_FOUND = Refusal(
    code="PRODUCT_NOT_FOUND", message="There is no such product; add it first."
)

StockEvent = ProductRestocked | ProductReserved | ProductReleased
Quantities = Mapping[str, int]
"""How many of each sku."""


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """One product; `version` counts its events."""

    sku: str
    name: str
    description: str
    price: Money
    stock_available: int
    version: int

    @property
    def document(self) -> ProductDocument:
        """What others are told."""
        return ProductDocument(
            id=self.sku,
            sku=self.sku,
            name=self.name,
            description=self.description,
            price=self.price,
            stock_available=self.stock_available,
        )


def add(
    known: Product | None, *, sku: str, name: str, description: str, price: Money, stock: int
) -> ProductAdded | Refusal:
    refusal = _refuse_sku(sku) or _refuse_texts(name, description) or _refuse_numbers(price, stock)
    if refusal is not None:
        return refusal
    if known is not None:
        return Refusal(
            code="DUPLICATE_SKU", message=f"There is a product {sku} already; restock that."
        )
    return ProductAdded(name=name, description=description, price=price, stock_available=stock)


def added(event: ProductAdded, *, sku: str) -> Product:
    """Return the product as its first event makes it."""
    return Product(
        sku=sku,
        name=event.name,
        description=event.description,
        price=event.price,
        stock_available=event.stock_available,
        version=1,
    )


def restock(product: Product, quantity: int) -> ProductRestocked | Refusal:
    available = product.stock_available + quantity
    if quantity < 1 or available > STOCK_MAX:
        return _invalid("quantity", f"Restock at least 1, up to a stock of {STOCK_MAX}.")
    return ProductRestocked(quantity=quantity, stock_available=available)


def wanted(lines: Iterable[OrderLine]) -> dict[str, int]:
    """Return how many of each sku an order wants; lines of one sku add up."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
    return quantities


def reserve(
    quantities: Quantities, products: Mapping[str, Product], *, order_id: str
) -> dict[str, ProductReserved] | StockRefused:
    """Take everything or nothing; the refusal names the first sku that cannot be had."""
    for sku, quantity in quantities.items():
        product = products.get(sku)
        if product is None or product.stock_available < quantity:
            return StockRefused(reason=StockRefusalReason.OUT_OF_STOCK, sku=sku)
    return {
        sku: ProductReserved(
            order_id=order_id,
            quantity=quantity,
            stock_available=products[sku].stock_available - quantity,
        )
        for sku, quantity in quantities.items()
    }


def release(product: Product, quantity: int, *, order_id: str) -> ProductReleased:
    return ProductReleased(
        order_id=order_id, quantity=quantity, stock_available=product.stock_available + quantity
    )


def apply(product: Product, event: StockEvent) -> Product:
    """Return the product as the event leaves it, one version on."""
    return msgspec.structs.replace(
        product, stock_available=event.stock_available, version=product.version + 1
    )


def _refuse_sku(sku: str) -> Refusal | None:
    is_readable = sku.isprintable() and sku == sku.strip() and "," not in sku
    if not 1 <= len(sku) <= SKU_LENGTH_MAX or not is_readable:
        return _invalid(
            "sku", f"A sku has 1 to {SKU_LENGTH_MAX} printable characters and no comma."
        )
    return None


def _refuse_texts(name: str, description: str) -> Refusal | None:
    if not name.strip() or len(name) > NAME_LENGTH_MAX or not name.isprintable():
        return _invalid("name", f"A name has 1 to {NAME_LENGTH_MAX} printable characters.")
    if len(description) > DESCRIPTION_LENGTH_MAX or "\0" in description:
        return _invalid(
            "description", f"A description has at most {DESCRIPTION_LENGTH_MAX} characters."
        )
    return None


def _refuse_numbers(price: Money, stock: int) -> Refusal | None:
    if not _CURRENCY.fullmatch(price.currency):
        return _invalid("price", "A currency is a code of three letters such as EUR.")
    if not 0 <= price.minor <= PRICE_MINOR_MAX:
        return _invalid("price", f"A price is 0 to {PRICE_MINOR_MAX} minor units.")
    if not 0 <= stock <= STOCK_MAX:
        return _invalid("stock", f"A stock is 0 to {STOCK_MAX}.")
    return None


def _invalid(field: str, message: str) -> Refusal:
    return Refusal(code="INVALID_INPUT", message=message, details={"field": field})
