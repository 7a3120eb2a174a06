"""Number the events of the service, keep snapshots of its streams, and what versions it holds."""

from __future__ import annotations

from slackwater.outbox.schema import (
    add_event_schemas,
    add_numbers,
    add_snapshots,
    drop_event_schemas,
    drop_numbers,
    drop_snapshots,
)

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    add_numbers(events="events")
    add_snapshots()
    add_event_schemas(events="events")


def downgrade() -> None:
    drop_event_schemas()
    drop_snapshots()
    drop_numbers(events="events")
