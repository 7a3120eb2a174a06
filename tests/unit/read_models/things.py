"""A small read model of things, and events of it, some of them bad."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from slackwater.event_log.port import Record, Topic, TopicPartition
from slackwater.events.cloudevents import to_headers
from slackwater.events.event import Cause, Event, EventBody, Recorded
from slackwater.events.types import EventTypes
from slackwater.read_models.documents import Collection
from slackwater.read_models.progress import ModelVersion
from slackwater.read_models.projection import Guard, Projection, Ref, Rows
from slackwater.read_models.read_model import ReadModel
from slackwater.read_models.search import Index, SearchField
from slackwater.testing.clock import ManualClock
from slackwater.watermarks.record import Watermark

TOPIC = Topic(name="things", partitions=1)
AT = TopicPartition("things", 0)
MODEL = ModelVersion("things")
event_types = EventTypes()


@event_types.register("things.counted", aggregate_type="thing", topic=TOPIC)
class Counted(EventBody):
    n: int


def _rule(collection: str, *, is_mended: bool = False) -> Callable[[Rows, Recorded[Counted]], None]:
    def counted(rows: Rows, recorded: Recorded[Counted]) -> None:
        document = rows.edit(Ref(collection, recorded.event.aggregate_id))
        document["seen"] = [*document.get("seen", ()), recorded.body.n]
        document["kind"] = "THING"
        if recorded.body.n == BROKEN and not is_mended:
            raise ZeroDivisionError
        if recorded.body.n == UNSTORABLE:
            document["seen"] = object()

    return counted


BROKEN, UNSTORABLE = -1, -2


def _projection(collection: str, *, is_mended: bool = False, **kept: Any) -> Projection:
    read_model = ReadModel(name="things", topics={"source": (TOPIC.name,)})
    projection = Projection(read_model, event_types=event_types, **kept)
    row = Guard(
        row=lambda event: Ref(collection, event.aggregate_id),
        touches=lambda event: (
            (Ref("owners", event.partition_key),) if not kept.get("index") else ()
        ),
    )
    projection.follow("thing", row)
    projection.on(Counted)(_rule(collection, is_mended=is_mended))
    return projection


def mended(collection: str, **kept: Any) -> Projection:
    """Return the rules that nothing is broken for any more."""
    return _projection(collection, is_mended=True, **kept)


COLLECTIONS = (Collection(name="things"), Collection(name="owners"))
PROJECTION = _projection("things", collections=COLLECTIONS)
INDEX = Index(name="things", fields=(SearchField(name="title"),))
SEARCHED = _projection("things", index=INDEX)


def event(thing: str, version: int, n: int, **changes: Any) -> Event:
    whole = Event(
        id=f"{thing}.{version}",
        source="source",
        topic=TOPIC.name,
        type="things.counted",
        schema_version=1,
        aggregate_type="thing",
        aggregate_id=thing,
        version=version,
        partition_key=thing[0],
        time=ManualClock().now(),
        data=msgspec.json.encode(Counted(n=n)),
        cause=Cause(correlation_id="x"),
    )
    return replace(whole, **changes)


def records(*events: Event, first: int = 0) -> list[Record]:
    """Return the events as they stand in the log; the key is the thing's first letter."""
    return [
        Record(
            topic=TOPIC.name,
            partition=0,
            offset=offset,
            key=each.partition_key,
            value=each.data,
            headers=to_headers(each),
        )
        for offset, each in enumerate(events, start=first)
    ]


async def newest_by_topic() -> dict[str, Watermark]:
    clock = ManualClock()
    return {
        TOPIC.name: Watermark(
            source="source", epoch=1, n=1, clock=clock.now(), offsets={"things": [0]}
        )
    }
