"""Create the tables of the customers service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from slackwater.outbox.schema import create_kernel_tables, drop_kernel_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kernel_tables(events="outbox")
    _create_customer()
    _create_credit_reservation()


def downgrade() -> None:
    op.drop_table("credit_reservation")
    op.drop_table("customer")
    drop_kernel_tables(events="outbox")


def _create_customer() -> None:
    op.create_table(
        "customer",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("credit_limit_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_reserved_minor", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.CheckConstraint("credit_reserved_minor >= 0", name="customer_reserved_not_negative"),
        sa.CheckConstraint(
            "credit_reserved_minor <= credit_limit_minor", name="customer_within_limit"
        ),
    )


def _create_credit_reservation() -> None:
    op.create_table(
        "credit_reservation",
        sa.Column("order_id", sa.Text(), primary_key=True),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.CheckConstraint("amount_minor >= 0", name="credit_reservation_not_negative"),
        sa.CheckConstraint(
            "state IN ('RESERVED', 'REFUSED', 'RELEASED', 'CLOSED')",
            name="credit_reservation_state",
        ),
    )
    reserved = sa.text("state = 'RESERVED'")
    op.create_index(
        "credit_reservation_reserved",
        "credit_reservation",
        ["customer_id"],
        sqlite_where=reserved,
        postgresql_where=reserved,
    )
