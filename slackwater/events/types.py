"""The registry of event types: names, schema versions, and upcasters from old versions.

    version 1 ── upcaster from 1 ──► version 2 ── upcaster from 2 ──► version 3, the class

A registry is complete when every old version of every type is led to the newest; whoever starts
asks for that (`require_complete`), so that a gap is not found at the first old event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from slackwater.errors import ConfigurationError, PoisonousEventError
from slackwater.event_log.port import Topic
from slackwater.events.event import Event, EventBody, Recorded

BodyT = TypeVar("BodyT", bound=EventBody)
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class UnknownEventTypeError(PoisonousEventError):
    """This process does not know the event's type or version; deploy the release that does."""


class UndecodableEventError(PoisonousEventError):
    """The event's data does not match its type's schema; mend the producer or add an upcaster."""


class IncompleteTypesError(ConfigurationError):
    """The event types cannot read all of their old versions; the message names the upcaster."""


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """One registered type: its name on the wire, its aggregate, its topic, its newest version."""

    name: str
    aggregate_type: str
    topic: Topic
    body: type[EventBody]
    schema_version: int


class EventTypes:
    """Knows every event type by its wire name and by its class."""

    def __init__(self) -> None:
        self._by_name: dict[str, EventType] = {}
        self._by_body: dict[type[EventBody], EventType] = {}
        self._upcasters: dict[tuple[str, int], Upcaster] = {}
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {}

    def register(
        self, name: str, *, aggregate_type: str, topic: Topic, schema_version: int = 1
    ) -> Callable[[type[BodyT]], type[BodyT]]:
        """Register the decorated class as the newest version of the event type `name`."""

        def add(body: type[BodyT]) -> type[BodyT]:
            if name in self._by_name:
                raise ValueError(f"event type {name} is registered twice; give it another name")
            event_type = EventType(
                name=name,
                aggregate_type=aggregate_type,
                topic=topic,
                body=body,
                schema_version=schema_version,
            )
            self._by_name[name] = event_type
            self._by_body[body] = event_type
            self._decoders[name] = msgspec.json.Decoder(body)
            return body

        return add

    def upcast(self, name: str, *, from_version: int) -> Callable[[Upcaster], Upcaster]:
        """Register the decorated function: data of `from_version` in, of the next version out."""

        def add(upcaster: Upcaster) -> Upcaster:
            if (name, from_version) in self._upcasters:
                raise ValueError(
                    f"event type {name} has two upcasters from version {from_version}; remove one"
                )
            self._upcasters[name, from_version] = upcaster
            return upcaster

        return add

    def require_complete(self) -> None:
        """Check that every old version of every type is led to the newest, and nothing else is.

        Raises:
            IncompleteTypesError: an upcaster is missing, or leads from what there is not.
        """
        wanted = {
            (event_type.name, version)
            for event_type in self
            for version in range(1, event_type.schema_version)
        }
        for name, version in sorted(wanted - self._upcasters.keys()):
            raise IncompleteTypesError(
                f"event type {name} is at version {self._by_name[name].schema_version}, and no "
                f"upcaster leads from version {version}; add upcast({name!r}, "
                f"from_version={version})"
            )
        for name, version in sorted(self._upcasters.keys() - wanted):
            raise IncompleteTypesError(
                f"an upcaster leads from version {version} of event type {name}, which "
                f"{self._newest(name)}; mend its registration"
            )

    def _newest(self, name: str) -> str:
        known = self._by_name.get(name)
        return "is not registered" if known is None else f"is at version {known.schema_version}"

    def find(self, name: str) -> EventType | None:
        """Return the type of that name on the wire, None where there is none."""
        return self._by_name.get(name)

    def of_body(self, body: type[EventBody]) -> EventType:
        return self._by_body[body]

    @property
    def topics(self) -> tuple[Topic, ...]:
        """Every topic that an event type is published on."""
        return tuple({event_type.topic.name: event_type.topic for event_type in self}.values())

    def __iter__(self) -> Iterator[EventType]:
        return iter(self._by_name.values())

    def decode(self, event: Event) -> Recorded[Any]:
        """Decode the event's body, upcast to the newest version of its type.

        Raises:
            UnknownEventTypeError: the type, or a newer version of it, is not registered.
            UndecodableEventError: the data is not what its type's schema says.
        """
        event_type = self._by_name.get(event.type)
        if event_type is None or event.schema_version > event_type.schema_version:
            raise UnknownEventTypeError(
                f"event {event.id} is of unknown type {event.type} version {event.schema_version}; "
                "deploy the release that knows it"
            )
        try:
            return Recorded(event, self._decode_body(event, event_type))
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            raise UndecodableEventError(
                f"event {event.id} of type {event.type} cannot be decoded: {error}; "
                "mend the producer or add an upcaster"
            ) from error

    def _decode_body(self, event: Event, event_type: EventType) -> EventBody:
        if event.schema_version == event_type.schema_version:
            body: EventBody = self._decoders[event.type].decode(event.data)
            return body
        data = msgspec.json.decode(event.data)
        for version in range(event.schema_version, event_type.schema_version):
            data = self._upcasters[event.type, version](data)
        return msgspec.convert(data, event_type.body)
