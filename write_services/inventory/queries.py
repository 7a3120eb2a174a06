"""Reads of the inventory service's own tables, for answers that must not be stale."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection

from slackwater.service.definition import Query
from slackwater.service.parameters import listed, required
from write_services.inventory import products


def one_product(connection: Connection, parameters: dict[str, str]) -> Any:
    product = products.find(connection, required(parameters, "sku"))
    return msgspec.to_builtins(product.document) if product is not None else None


def many_products(connection: Connection, parameters: dict[str, str]) -> Any:
    found = products.find_many(connection, listed(parameters, "skus"))
    return [msgspec.to_builtins(product.document) for product in found]


QUERIES = (
    Query(name="product", answer=one_product),
    Query(name="products", answer=many_products),
)
