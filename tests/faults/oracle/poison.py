"""Poison of every kind, for one event in a hundred, while a switch is on.

Which events and of what kind is their ids' doing: those of one installation differ from read model
to read model in nothing, and what was poisonous is so again, until the switch is off.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

from slackwater.events.event import Event
from slackwater.events.types import EventTypes, UndecodableEventError, UnknownEventTypeError
from slackwater.read_models import fold as folding
from slackwater.read_models.projection import Projection, Rows
from tests.faults.oracle.switches import Switches

SWITCH = "poison"
_KINDS = ("undecodable", "unknown type", "fails in the rule", "fails in the store")
_ONE_IN = 100


def poison(switches: Switches) -> None:
    """Make the projectors of this process fail."""
    _fail_to_decode(switches)
    _fail_in_rules(switches)


def _fail_to_decode(switches: Switches) -> None:
    decode = EventTypes.decode

    def poisoned(self: EventTypes, event: Event) -> Any:
        match _kind(switches, event):
            case "undecodable":
                raise UndecodableEventError(f"event {event.id} is undecodable; it is a test")
            case "unknown type":
                raise UnknownEventTypeError(f"event {event.id} is of unknown type; it is a test")
        return decode(self, event)

    EventTypes.decode = poisoned  # type: ignore[method-assign]


def _fail_in_rules(switches: Switches) -> None:
    fold_one = folding._fold_one

    def poisoned(projection: Projection, rows: Rows, event: Event, discards: Any) -> bool:
        applied = fold_one(projection, rows, event, discards)
        guard = projection.guard_of(event)
        if applied and guard is not None:
            match _kind(switches, event):
                case "fails in the rule":
                    raise folding._unprojectable(event, ZeroDivisionError("it is a test"))
                case "fails in the store":
                    rows.edit(guard.row(event))["poison"] = object()
        return applied

    folding._fold_one = poisoned


def _kind(switches: Switches, event: Event) -> str | None:
    number = crc32(event.id.encode()) % (_ONE_IN * len(_KINDS))
    return _KINDS[number] if number < len(_KINDS) and switches.is_on(SWITCH) else None
