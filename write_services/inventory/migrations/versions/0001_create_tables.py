"""Create the tables of the inventory service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from slackwater.outbox.schema import create_kernel_tables, drop_kernel_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kernel_tables(events="outbox")
    _create_product()
    _create_stock_reservation()
    _create_stock_reservation_line()


def downgrade() -> None:
    op.drop_table("stock_reservation_line")
    op.drop_table("stock_reservation")
    op.drop_table("product")
    drop_kernel_tables(events="outbox")


def _create_product() -> None:
    op.create_table(
        "product",
        sa.Column("sku", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("stock_available", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("price_minor >= 0", name="product_price_not_negative"),
        sa.CheckConstraint("stock_available >= 0", name="product_stock_not_negative"),
    )


def _create_stock_reservation() -> None:
    op.create_table(
        "stock_reservation",
        sa.Column("order_id", sa.Text(), primary_key=True),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state IN ('RESERVED', 'REFUSED', 'RELEASED', 'SHIPPED', 'CLOSED')",
            name="stock_reservation_state",
        ),
    )


def _create_stock_reservation_line() -> None:
    order_id, sku = sa.ForeignKey("stock_reservation.order_id"), sa.ForeignKey("product.sku")
    op.create_table(
        "stock_reservation_line",
        sa.Column("order_id", sa.Text(), order_id, primary_key=True),
        sa.Column("sku", sa.Text(), sku, primary_key=True),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity > 0", name="stock_reservation_line_positive"),
    )
