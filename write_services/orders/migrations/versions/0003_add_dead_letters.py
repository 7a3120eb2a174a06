"""Let the consumers of the service park what they cannot handle."""

from __future__ import annotations

from slackwater.outbox.schema import add_dead_letters, drop_dead_letters

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    add_dead_letters()


def downgrade() -> None:
    drop_dead_letters()
