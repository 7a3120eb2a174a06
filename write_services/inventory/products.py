"""Products as rows: each change of a row goes with the event that tells of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from contracts.events.inventory import ProductAdded
from contracts.money import Money
from slackwater.outbox.unit_of_work import UnitOfWork
from write_services.inventory import domain
from write_services.inventory.domain import Product, StockEvent
from write_services.inventory.tables import product as table

_SELECT_MANY = select(table).where(table.c.sku.in_(bindparam("skus", expanding=True)))
# One order of taking locks for everybody, so that no two orders wait for each other.
_LOCK = _SELECT_MANY.order_by(table.c.sku).with_for_update()
_UPDATE = update(table).where(table.c.sku == bindparam("of_product"))


def find(connection: Connection, sku: str) -> Product | None:
    return next(iter(find_many(connection, [sku])), None)


def find_many(connection: Connection, skus: Sequence[str]) -> list[Product]:
    """Return those products that exist, in the order asked for."""
    rows = connection.execute(_SELECT_MANY, {"skus": list(skus)})
    found = {row.sku: to_product(row) for row in rows}
    return [found[sku] for sku in skus if sku in found]


def lock(connection: Connection, skus: Collection[str]) -> dict[str, Product]:
    """Return products that nobody else can change until the commit."""
    rows = connection.execute(_LOCK, {"skus": list(skus)})
    return {row.sku: to_product(row) for row in rows}


def add_product(unit: UnitOfWork, sku: str, event: ProductAdded) -> Product:
    """Insert a product with its first event."""
    product = domain.added(event, sku=sku)
    unit.connection.execute(
        insert(table).values(
            sku=product.sku,
            name=product.name,
            description=product.description,
            price_minor=product.price.minor,
            currency=product.price.currency,
            stock_available=product.stock_available,
            version=product.version,
        )
    )
    unit.add(event, aggregate_id=sku, version=1, partition_key=sku)
    return product


def change_stock(unit: UnitOfWork, product: Product, event: StockEvent) -> Product:
    """Change a product as the event says, and add the event."""
    changed = domain.apply(product, event)
    unit.connection.execute(
        _UPDATE,
        {
            "of_product": product.sku,
            "stock_available": changed.stock_available,
            "version": changed.version,
        },
    )
    unit.add(event, aggregate_id=changed.sku, version=changed.version, partition_key=changed.sku)
    return changed


def to_product(row: Row[Any]) -> Product:
    return Product(
        sku=row.sku,
        name=row.name,
        description=row.description,
        price=Money(minor=row.price_minor, currency=row.currency),
        stock_available=row.stock_available,
        version=row.version,
    )
