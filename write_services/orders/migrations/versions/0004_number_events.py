"""Let the events of the service be followed by their numbers, and its streams have snapshots."""

from __future__ import annotations

from slackwater.outbox.schema import add_numbers, add_snapshots, drop_numbers, drop_snapshots

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    add_numbers(events="events")
    add_snapshots()


def downgrade() -> None:
    drop_snapshots()
    drop_numbers(events="events")
