"""Let the events of the service be made of the database's own log, also of its rows alone.

Why an order was refused stood in its event only; a row says it, too, from now on, also for the
orders that were refused before.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from slackwater.outbox.schema import add_mined, drop_mined

revision = "0005"
down_revision = "0003"

_REFUSED = sa.text(
    "SELECT aggregateid, partitionkey, payload FROM outbox WHERE type = 'inventory.stock-refused'"
)
_BATCH = 1_000


def upgrade() -> None:
    add_mined()
    order_id = sa.ForeignKey("stock_reservation.order_id")
    refusal = op.create_table(
        "stock_refusal",
        sa.Column("order_id", sa.Text(), order_id, primary_key=True),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
    )
    connection = op.get_bind()
    for rows in connection.execute(_REFUSED).partitions(_BATCH):
        refused = [
            {"order_id": order_id, "customer_id": customer_id, "sku": json.loads(payload)["sku"]}
            for order_id, customer_id, payload in rows
        ]
        connection.execute(sa.insert(refusal), refused)


def downgrade() -> None:
    op.drop_table("stock_refusal")
    drop_mined()
