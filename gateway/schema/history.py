"""The history of an order: its own events, from its own service."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import strawberry
from strawberry.scalars import JSON

from contracts.timestamps import from_text


@strawberry.type(description="Something that happened to an order.")
class OrderEvent:
    id: strawberry.ID
    type: str
    version: int
    recorded_at: datetime
    actor: str | None
    correlation_id: str
    data: JSON


def to_order_event(event: dict[str, Any]) -> OrderEvent:
    """Return an event as the orders service answers it."""
    return OrderEvent(
        id=strawberry.ID(event["id"]),
        type=event["type"],
        version=event["version"],
        recorded_at=from_text(event["recorded_at"]),
        actor=event["actor"],
        correlation_id=event["correlation_id"],
        data=event["data"],
    )
