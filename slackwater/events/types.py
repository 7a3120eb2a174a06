"""The registry of event types: names, schema versions, and upcasters from old versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from slackwater.errors import PoisonousEventError
from slackwater.event_log.port import Topic
from slackwater.events.event import Event, EventBody, Recorded

BodyT = TypeVar("BodyT", bound=EventBody)
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class UnknownEventTypeError(PoisonousEventError):
    """This process does not know the event's type or version; deploy the release that does."""


class UndecodableEventError(PoisonousEventError):
    """The event's data does not match its type's schema; mend the producer or add an upcaster."""


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
            return body

        return add

    def upcast(self, name: str, *, from_version: int) -> Callable[[Upcaster], Upcaster]:
        """Register the decorated function: data of `from_version` in, of the next version out."""

        def add(upcaster: Upcaster) -> Upcaster:
            self._upcasters[name, from_version] = upcaster
            return upcaster

        return add

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
            return msgspec.json.decode(event.data, type=event_type.body)
        data = msgspec.json.decode(event.data)
        for version in range(event.schema_version, event_type.schema_version):
            data = self._upcasters[event.type, version](data)
        return msgspec.convert(data, event_type.body)
