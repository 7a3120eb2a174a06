"""Reads of the customers service's own tables, for answers that must not be stale."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection

from slackwater.service.definition import Query
from slackwater.service.parameters import listed, required
from write_services.customers import accounts


def one_customer(connection: Connection, parameters: dict[str, str]) -> Any:
    customer = accounts.find(connection, required(parameters, "id"))
    return msgspec.to_builtins(customer.state) if customer is not None else None


def many_customers(connection: Connection, parameters: dict[str, str]) -> Any:
    found = accounts.find_many(connection, listed(parameters, "ids"))
    return [msgspec.to_builtins(customer.state) for customer in found]


QUERIES = (
    Query(name="customer", answer=one_customer),
    Query(name="customers", answer=many_customers),
)
