"""Let published events and old answers be removed, so that their tables do not grow for ever."""

from __future__ import annotations

from slackwater.outbox.schema import (
    allow_removal,
    forbid_removal,
    order_answers_by_age,
    order_answers_by_key_alone,
)

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    allow_removal(events="outbox")
    order_answers_by_age()


def downgrade() -> None:
    order_answers_by_key_alone()
    forbid_removal(events="outbox")
