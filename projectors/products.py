"""Read model `products`: one document a product, with what is left to sell."""

from __future__ import annotations

from typing import Any

import msgspec

from contracts.documents.products import PRODUCTS_COLLECTION
from contracts.events import event_types
from contracts.events.inventory import (
    PRODUCT,
    ProductAdded,
    ProductReleased,
    ProductReserved,
    ProductRestocked,
)
from contracts.read_models import PRODUCTS_MODEL
from slackwater.events.event import Event, Recorded
from slackwater.read_models.projection import Guard, Projection, Ref, Rows

projection = Projection(PRODUCTS_MODEL, event_types=event_types, collections=[PRODUCTS_COLLECTION])


def _product(event: Event) -> Ref:
    return Ref(PRODUCTS_COLLECTION.name, event.aggregate_id)


@projection.on(ProductAdded)
def product_added(rows: Rows, recorded: Recorded[ProductAdded]) -> None:
    added = recorded.body
    rows.edit(_product(recorded.event)).update(
        sku=recorded.event.aggregate_id,
        name=added.name,
        description=added.description,
        price=msgspec.to_builtins(added.price),
        stock_available=added.stock_available,
    )


def stock_changed(rows: Rows, recorded: Recorded[Any]) -> None:
    rows.edit(_product(recorded.event))["stock_available"] = recorded.body.stock_available


projection.follow(PRODUCT, Guard(row=_product))
projection.on(ProductRestocked)(stock_changed)
projection.on(ProductReserved)(stock_changed)
projection.on(ProductReleased)(stock_changed)
