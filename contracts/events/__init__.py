"""The event types of every service, by their names on the wire."""

from __future__ import annotations

from contracts.events import customers, inventory, orders
from contracts.events.registry import event_types

__all__ = ["customers", "event_types", "inventory", "orders"]
