"""The tables of the inventory service.

A row of `stock_reservation` for each order that was heard of makes every saga step safe to repeat
and to reorder: an order reserves at most once, and never after it was closed.
`stock_answer` says in which chain of causes an order was answered, and what it could not have;
there may be no such product.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, MetaData, Table, Text

from slackwater.outbox.tables import KernelTables

metadata = MetaData()
tables = KernelTables(metadata, events="outbox", is_outbox=True)

product = Table(
    "product",
    metadata,
    Column("sku", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("stock_available", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("price_minor >= 0", name="product_price_not_negative"),
    CheckConstraint("stock_available >= 0", name="product_stock_not_negative"),
)

stock_reservation = Table(
    "stock_reservation",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("customer_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint(
        "state IN ('RESERVED', 'REFUSED', 'RELEASED', 'SHIPPED', 'CLOSED')",
        name="stock_reservation_state",
    ),
)

stock_reservation_line = Table(
    "stock_reservation_line",
    metadata,
    Column("order_id", Text, ForeignKey("stock_reservation.order_id"), primary_key=True),
    Column("sku", Text, ForeignKey("product.sku"), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    CheckConstraint("quantity > 0", name="stock_reservation_line_positive"),
)

stock_answer = Table(
    "stock_answer",
    metadata,
    Column("order_id", Text, ForeignKey("stock_reservation.order_id"), primary_key=True),
    Column("customer_id", Text, nullable=False),
    Column("refused_sku", Text),
    Column("correlation_id", Text, nullable=False),
)
