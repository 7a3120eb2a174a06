"""The catalogue: orders' own copy of what products are called and cost.

It is kept by inventory's events, so an order is priced without asking another service. The newer
version of a product wins, in whatever order its events arrive. Of one version, the event that is
handled last wins, and each is handled once: a source that was restored gives the version of what it
has lost to another product.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, insert, select, update

from contracts.events.inventory import ProductAdded
from contracts.money import Money
from slackwater.events.event import Recorded
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.service.definition import Consumer
from write_services.orders.pricing import CatalogueEntry
from write_services.orders.tables import catalogue as table

catalogue = Consumer("catalogue")

_SELECT = select(table).where(table.c.sku.in_(bindparam("skus", expanding=True)))


def read_entries(connection: Connection, skus: Collection[str]) -> dict[str, CatalogueEntry]:
    rows = connection.execute(_SELECT, {"skus": list(skus)})
    return {
        row.sku: CatalogueEntry(
            sku=row.sku,
            name=row.name,
            price=Money(minor=row.price_minor, currency=row.currency),
            version=row.version,
        )
        for row in rows
    }


@catalogue.on(ProductAdded, may_be_discarded=True)  # it is unknown, and nobody can order it
def keep_product(unit: UnitOfWork, added: Recorded[ProductAdded]) -> None:
    entry = CatalogueEntry(
        sku=added.event.aggregate_id,
        name=added.body.name,
        price=added.body.price,
        version=added.event.version,
    )
    with unit.without_event("a copy of what inventory has told already"):
        _keep(unit.connection, entry)


def _keep(connection: Connection, entry: CatalogueEntry) -> None:
    columns = {
        "name": entry.name,
        "price_minor": entry.price.minor,
        "currency": entry.price.currency,
        "version": entry.version,
    }
    known = read_entries(connection, [entry.sku]).get(entry.sku)
    if known is None:
        connection.execute(insert(table).values(sku=entry.sku, **columns))
    elif known.version <= entry.version:
        connection.execute(update(table).where(table.c.sku == entry.sku).values(**columns))
