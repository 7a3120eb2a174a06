"""The tables of the customers service.

A row of `credit_reservation` for each order that was heard of makes every saga step safe to repeat
and to reorder: an order reserves at most once, and never after it was closed.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, MetaData, Table, Text, text

from slackwater.outbox.tables import KernelTables

metadata = MetaData()
tables = KernelTables(metadata, events="outbox", is_outbox=True)

customer = Table(
    "customer",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("credit_limit_minor", BigInteger, nullable=False),
    Column("credit_reserved_minor", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", Text, nullable=False),
    CheckConstraint("credit_reserved_minor >= 0", name="customer_reserved_not_negative"),
    CheckConstraint("credit_reserved_minor <= credit_limit_minor", name="customer_within_limit"),
)

credit_reservation = Table(
    "credit_reservation",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("customer_id", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    CheckConstraint("amount_minor >= 0", name="credit_reservation_not_negative"),
    CheckConstraint(
        "state IN ('RESERVED', 'REFUSED', 'RELEASED', 'CLOSED')", name="credit_reservation_state"
    ),
)

_reserved = text("state = 'RESERVED'")
Index(
    "credit_reservation_reserved",
    credit_reservation.c.customer_id,
    sqlite_where=_reserved,
    postgresql_where=_reserved,
)
