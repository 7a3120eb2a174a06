"""The one registry that all event modules add to."""

from __future__ import annotations

from slackwater.events.types import EventTypes

event_types = EventTypes()
