"""Say which timeline the ticks and positions of the service count in."""

from __future__ import annotations

from slackwater.outbox.schema import add_timelines, drop_timelines

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    add_timelines()


def downgrade() -> None:
    drop_timelines()
