"""The envelope of every event: CloudEvents 1.0 attributes with aggregate, version and causation.

An event is a fact about one aggregate. Its `version` counts that aggregate's events from 1 without
a gap: whoever applies events can tell a duplicate (not newer) from a loss (a version is missing).
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from slackwater.ids import new_id

BodyT = TypeVar("BodyT", bound="EventBody")


class EventBody(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an event type; subclasses are registered with `EventTypes.register`."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why something happens: who asked, and the chain that leads to it.

    `correlation_id` is the same from the client's mutation to the last event that follows from it;
    `causation_id` is what came directly before: the id of an event, or a request (a command, or a
    service's own periodic work) as `NAME/ID`.
    """

    correlation_id: str
    causation_id: str | None = None
    actor: str | None = None
    traceparent: str | None = None

    @classmethod
    def start(cls, actor: str | None = None, causation_id: str | None = None) -> Cause:
        """A cause with which a chain begins."""
        return cls(correlation_id=new_id(), causation_id=causation_id, actor=actor)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One published fact, its data still encoded (JSON, at `schema_version` of its type)."""

    id: str
    source: str
    topic: str
    type: str
    schema_version: int
    aggregate_type: str
    aggregate_id: str
    version: int
    partition_key: str
    time: datetime
    data: bytes
    cause: Cause

    def caused(self) -> Cause:
        """The cause of whatever happens because of this event."""
        return msgspec.structs.replace(self.cause, causation_id=self.id)


class Recorded(msgspec.Struct, Generic[BodyT], frozen=True):
    """An event with its decoded body, brought up to the newest schema version."""

    event: Event
    body: BodyT
