"""Create the tables of the orders service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from slackwater.outbox.schema import create_kernel_tables, drop_kernel_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kernel_tables(events="events")
    _create_order_index()
    _create_catalogue()


def downgrade() -> None:
    op.drop_table("catalogue")
    op.drop_table("order_index")
    drop_kernel_tables(events="events")


def _create_order_index() -> None:
    op.create_table(
        "order_index",
        sa.Column("order_id", sa.Text(), primary_key=True),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.Text(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
    )
    op.create_index("order_index_customer", "order_index", ["customer_id", "placed_at", "order_id"])
    pending = sa.text("status = 'PENDING'")
    op.create_index(
        "order_index_pending",
        "order_index",
        ["deadline"],
        sqlite_where=pending,
        postgresql_where=pending,
    )


def _create_catalogue() -> None:
    op.create_table(
        "catalogue",
        sa.Column("sku", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
    )
