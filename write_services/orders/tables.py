"""The tables of the orders service: its events are the truth, the others follow from them.

`order_index` finds orders by customer and deadline; it is written in the transaction of the events.
`catalogue` is a copy of what inventory tells of its products.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text, text

from contracts.events import event_types
from contracts.events.orders import ORDER
from slackwater.event_store.event_store import EventStore
from slackwater.event_store.tables import EventStoreTables

metadata = MetaData()
tables = EventStoreTables(metadata, events="events")
streams = EventStore(tables, event_types, "orders", aggregate_type=ORDER)

order_index = Table(
    "order_index",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("customer_id", Text, nullable=False),
    Column("placed_at", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("deadline", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
)

Index(
    "order_index_customer",
    order_index.c.customer_id,
    order_index.c.placed_at,
    order_index.c.order_id,
)

_pending = text("status = 'PENDING'")
Index(
    "order_index_pending",
    order_index.c.deadline,
    sqlite_where=_pending,
    postgresql_where=_pending,
)

catalogue = Table(
    "catalogue",
    metadata,
    Column("sku", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
)
