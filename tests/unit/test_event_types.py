"""Event types: old versions are led to the newest, and a gap is found before any old event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from slackwater.event_log.port import Topic
from slackwater.events.event import Cause, Event, EventBody
from slackwater.events.types import EventTypes, IncompleteTypesError, UnknownEventTypeError

TOPIC = Topic(name="things", partitions=1)
OLD = Event(
    id="1",
    source="things",
    topic="things",
    type="things.named",
    schema_version=1,
    aggregate_type="thing",
    aggregate_id="t",
    version=1,
    partition_key="t",
    time=datetime(2026, 1, 1, tzinfo=UTC),
    data=b'{"name":"Ada Lovelace"}',
    cause=Cause(correlation_id="c"),
)


class Named(EventBody):
    first: str
    last: str
    title: str | None


def types_with(*upcasters: int, schema_version: int = 3) -> EventTypes:
    """Register a type with some of its upcasters: 1 splits the name, 2 adds the title."""
    event_types = EventTypes()
    event_types.register(
        "things.named", aggregate_type="thing", topic=TOPIC, schema_version=schema_version
    )(Named)

    def split(data: dict[str, Any]) -> dict[str, Any]:
        first, _, last = data["name"].partition(" ")
        return {"first": first, "last": last}

    def add_title(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "title": None}

    for version in upcasters:
        event_types.upcast("things.named", from_version=version)(
            split if version == 1 else add_title
        )
    return event_types


def test_every_old_version_is_led_to_the_newest() -> None:
    event_types = types_with(1, 2)
    event_types.require_complete()
    newest = Named(first="Ada", last="Lovelace", title=None)
    second = replace(OLD, schema_version=2, data=b'{"first":"Ada","last":"Lovelace"}')
    third = replace(OLD, schema_version=3, data=b'{"first":"Ada","last":"Lovelace","title":null}')
    assert [event_types.decode(each).body for each in (OLD, second, third)] == [newest] * 3
    assert event_types.decode(OLD).event is OLD


@pytest.mark.parametrize(
    ("upcasters", "said"),
    [
        ((), "leads from version 1; add upcast('things.named', from_version=1)"),
        ((1,), "leads from version 2; add upcast('things.named', from_version=2)"),
        ((2,), "leads from version 1; add upcast('things.named', from_version=1)"),
        ((1, 2, 3), "version 3 of event type things.named, which is at version 3"),
        ((0, 1, 2), "version 0 of event type things.named, which is at version 3"),
    ],
)
def test_a_gap_or_a_way_to_nowhere_is_refused(upcasters: tuple[int, ...], said: str) -> None:
    with pytest.raises(IncompleteTypesError) as refused:
        types_with(*upcasters).require_complete()
    assert said in str(refused.value)


def test_an_upcaster_of_an_unregistered_type_is_refused() -> None:
    event_types = EventTypes()
    event_types.upcast("things.nmed", from_version=1)(lambda data: data)
    with pytest.raises(IncompleteTypesError, match=r"things\.nmed, which is not registered"):
        event_types.require_complete()


def test_two_upcasters_from_one_version_are_refused() -> None:
    with pytest.raises(ValueError, match="two upcasters from version 1"):
        types_with(1, 1)


def test_a_version_that_is_newer_than_the_registry_is_unknown() -> None:
    with pytest.raises(UnknownEventTypeError, match="deploy the release"):
        types_with(1, 2).decode(replace(OLD, schema_version=4))
