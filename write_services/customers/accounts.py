"""Customers as rows: each change of a row goes with the event that tells of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from contracts.events.customers import CustomerCreated
from contracts.money import Money
from slackwater.outbox.unit_of_work import UnitOfWork
from write_services.customers import domain
from write_services.customers.domain import CreditEvent, Customer
from write_services.customers.tables import customer as table

_SELECT = select(table).where(table.c.id == bindparam("customer_id"))
_SELECT_FOR_CHANGE = _SELECT.with_for_update()
_SELECT_MANY = select(table).where(table.c.id.in_(bindparam("ids", expanding=True)))
# One order of taking locks for everybody, so that no two batches wait for each other.
_LOCK = (
    select(table.c.id)
    .where(table.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(table.c.id)
    .with_for_update()
)
_UPDATE = update(table).where(table.c.id == bindparam("of_customer"))


def find(connection: Connection, customer_id: str, *, for_change: bool = False) -> Customer | None:
    """Return a customer; `for_change` keeps others from changing it until the commit."""
    query = _SELECT_FOR_CHANGE if for_change else _SELECT
    row = connection.execute(query, {"customer_id": customer_id}).one_or_none()
    return to_customer(row) if row is not None else None


def lock(connection: Connection, ids: Collection[str]) -> None:
    """Keep others from changing these customers until the commit."""
    connection.execute(_LOCK, {"ids": list(ids)}).all()


def find_many(connection: Connection, ids: Sequence[str]) -> list[Customer]:
    """Return those customers that exist, in the order asked for."""
    rows = connection.execute(_SELECT_MANY, {"ids": list(ids)})
    found = {row.id: to_customer(row) for row in rows}
    return [found[id_] for id_ in ids if id_ in found]


def open_account(unit: UnitOfWork, customer_id: str, event: CustomerCreated) -> Customer:
    """Insert a customer with its first event."""
    customer = domain.created(event, customer_id=customer_id, at=unit.now)
    unit.connection.execute(
        insert(table).values(
            id=customer.id,
            name=customer.name,
            email=customer.email,
            currency=customer.currency,
            created_at=customer.created_at.isoformat(),
            **_changing_columns(customer),
        )
    )
    unit.add(event, aggregate_id=customer_id, version=1, partition_key=customer_id)
    return customer


def change_account(unit: UnitOfWork, customer: Customer, event: CreditEvent) -> Customer:
    """Change a customer as the event says, and add the event."""
    changed = domain.apply(customer, event)
    unit.connection.execute(_UPDATE, {"of_customer": customer.id, **_changing_columns(changed)})
    unit.add(event, aggregate_id=changed.id, version=changed.version, partition_key=changed.id)
    return changed


def to_customer(row: Row[Any]) -> Customer:
    return Customer(
        id=row.id,
        name=row.name,
        email=row.email,
        credit_limit=Money(minor=row.credit_limit_minor, currency=row.currency),
        credit_reserved=Money(minor=row.credit_reserved_minor, currency=row.currency),
        created_at=datetime.fromisoformat(row.created_at),
        version=row.version,
    )


def _changing_columns(customer: Customer) -> dict[str, int]:
    return {
        "credit_limit_minor": customer.credit_limit.minor,
        "credit_reserved_minor": customer.credit_reserved.minor,
        "version": customer.version,
    }
