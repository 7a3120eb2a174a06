"""The commands of the inventory service."""

from __future__ import annotations

import msgspec

from contracts.documents.products import ProductDocument
from contracts.money import Money
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.service.commands import CommandType, Refusal
from write_services.inventory import domain, products


class AddProduct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Offer a new product."""

    sku: str
    name: str
    description: str = ""
    price: Money
    stock: int


class RestockProduct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """More of a product has arrived."""

    sku: str
    quantity: int


class ProductAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The product as the command left it."""

    product: ProductDocument


def add_product(unit: UnitOfWork, command: AddProduct) -> ProductAnswer | Refusal:
    decision = domain.add(
        products.find(unit.connection, command.sku),
        sku=command.sku,
        name=command.name,
        description=command.description,
        price=command.price,
        stock=command.stock,
    )
    if isinstance(decision, Refusal):
        return decision
    return ProductAnswer(product=products.add_product(unit, command.sku, decision).document)


def restock_product(unit: UnitOfWork, command: RestockProduct) -> ProductAnswer | Refusal:
    product = products.lock(unit.connection, [command.sku]).get(command.sku)
    if product is None:
        return domain.PRODUCT_NOT_FOUND
    decision = domain.restock(product, command.quantity)
    if isinstance(decision, Refusal):
        return decision
    return ProductAnswer(product=products.change_stock(unit, product, decision).document)


COMMANDS = (
    CommandType(name="add-product", body=AddProduct, handle=add_product),
    CommandType(name="restock-product", body=RestockProduct, handle=restock_product),
)
