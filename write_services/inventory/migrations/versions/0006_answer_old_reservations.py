"""Let reservations be told whole whose answers had left the outbox when answers became rows.

Else an order whose stock was released or shipped would be inferred without having reserved any.
What rows do not say any more is taken for the beginning of a chain of causes. Where events are
inferred already, it comes too late: there a new answer would be told after what followed it.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

_ANSWER = """
INSERT INTO stock_answer (order_id, customer_id, refused_sku, correlation_id)
SELECT order_id, customer_id, NULL, order_id FROM stock_reservation
WHERE state IN ('RESERVED', 'RELEASED', 'SHIPPED')
AND NOT EXISTS (SELECT 1 FROM stock_answer WHERE stock_answer.order_id = stock_reservation.order_id)
AND NOT EXISTS (SELECT 1 FROM mined WHERE way = 'ROW_CHANGES')
"""


def upgrade() -> None:
    op.execute(_ANSWER)


def downgrade() -> None:
    """Nothing is to be taken back: the former release would have answered the same."""
