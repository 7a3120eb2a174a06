"""The versions that rows of inventory count, after events were inferred from them.

A history that was made anew counts from 1, whatever the rows say.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, Table, func, select, update

from contracts.events.inventory import PRODUCT, STOCK_RESERVATION
from write_services.inventory.tables import product, stock_reservation, tables


def recount(connection: Connection) -> None:
    """Let every row go on from the newest event of its aggregate."""
    _recount(connection, product, product.c.sku, PRODUCT)
    _recount(connection, stock_reservation, stock_reservation.c.order_id, STOCK_RESERVATION)


def _recount(connection: Connection, table: Table, key: Column[str], aggregate_type: str) -> None:
    told = tables.events.c
    newest = (
        select(func.max(told.version))
        .where(told.aggregatetype == aggregate_type, told.aggregateid == key)
        .scalar_subquery()
    )
    connection.execute(update(table).values(version=newest).where(table.c.version != newest))
