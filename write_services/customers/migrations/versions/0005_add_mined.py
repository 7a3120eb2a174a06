"""Let the events of the service be made of the database's own log."""

from __future__ import annotations

from slackwater.outbox.schema import add_mined, drop_mined

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    add_mined()


def downgrade() -> None:
    drop_mined()
