"""Let old answers be removed, so that their table does not grow for ever."""

from __future__ import annotations

from slackwater.outbox.schema import order_answers_by_age, order_answers_by_key_alone

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    order_answers_by_age()


def downgrade() -> None:
    order_answers_by_key_alone()
