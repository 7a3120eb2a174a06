"""Let the events of the service be made of the database's own log, also of its rows alone.

What an order was answered, and in which chain of causes, stood in an event only; rows say it, too,
from now on, also of the orders that were answered before.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from slackwater.outbox.schema import add_mined, drop_mined

revision = "0005"
down_revision = "0004"

_ANSWERS = sa.text(
    "SELECT aggregateid, partitionkey, payload, correlationid FROM outbox "
    "WHERE type IN ('inventory.stock-reserved', 'inventory.stock-refused')"
)
_BATCH = 1_000


def upgrade() -> None:
    add_mined()
    order_id = sa.ForeignKey("stock_reservation.order_id")
    answer = op.create_table(
        "stock_answer",
        sa.Column("order_id", sa.Text(), order_id, primary_key=True),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("refused_sku", sa.Text()),
        sa.Column("correlation_id", sa.Text(), nullable=False),
    )
    connection = op.get_bind()
    for rows in connection.execute(_ANSWERS).partitions(_BATCH):
        connection.execute(sa.insert(answer), [_answer(row) for row in rows])


def downgrade() -> None:
    op.drop_table("stock_answer")
    drop_mined()


def _answer(row: sa.Row[Any]) -> dict[str, Any]:
    return {
        "order_id": row.aggregateid,
        "customer_id": row.partitionkey,
        "refused_sku": json.loads(bytes(row.payload)).get("sku"),
        "correlation_id": row.correlationid,
    }
