"""What must be true of a log and its watermarks after writers and relays have done their worst."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import select

from slackwater.event_log.port import TopicPartition
from slackwater.events.cloudevents import from_headers
from slackwater.events.event import Event
from slackwater.testing import counting
from slackwater.testing.relay_contract import Source
from slackwater.watermarks.record import Watermark
from slackwater.watermarks.tick import Tick

Place = tuple[TopicPartition, int]


class Placed(NamedTuple):
    """An event where it stands in the log."""

    at: TopicPartition
    offset: int
    event: Event


class Seen(NamedTuple):
    """What was visible before any tick that is later than this one."""

    tick: Tick
    runs: frozenset[str]


class History(msgspec.Struct):
    """What the writers know of their runs; a run is told by the correlation id of its events."""

    committed: dict[str, int] = msgspec.field(default_factory=dict)
    """How many events each run has committed."""
    undone: set[str] = msgspec.field(default_factory=set)
    seen: list[Seen] = msgspec.field(default_factory=list)
    events: int = 0
    long_ones: int = 0

    def commit(self, run: str, events: int) -> None:
        self.committed[run] = events
        self.events += events


async def read_placed(source: Source) -> list[Placed]:
    """Return all events as they stand in the log, those of a partition in its order."""
    return [
        Placed(
            each.topic_partition, each.offset, from_headers(each.topic, each.headers, each.value)
        )
        for each in await source.records(counting.COUNTERS.name)
    ]


def _firsts(placed: Sequence[Placed]) -> list[Placed]:
    firsts: dict[str, Placed] = {}
    for each in placed:
        firsts.setdefault(each.event.id, each)
    return list(firsts.values())


def _run_of(placed: Placed) -> str:
    return placed.event.cause.correlation_id


def check_published(placed: Sequence[Placed], history: History) -> None:
    """What was committed is in the log, all of it, and nothing else is."""
    published = Counter(map(_run_of, _firsts(placed)))
    assert not published.keys() & history.undone, "rolled back, and published"
    assert published == history.committed, "skipped, lost, or never committed"


def check_order(placed: Sequence[Placed]) -> None:
    versions = defaultdict[str, list[int]](list)
    for each in _firsts(placed):
        versions[each.event.aggregate_id].append(each.event.version)
    for counter_id, found in versions.items():
        assert found == list(range(1, len(found) + 1)), counter_id


def check_repeated(placed: Sequence[Placed], unheard: Collection[Place]) -> None:
    """Only what a leader had appended without hearing of it is there again."""
    counts = Counter(each.event.id for each in placed)
    again = {event_id for event_id, count in counts.items() if count > 1}
    assert again == {each.event.id for each in placed if (each.at, each.offset) in unheard}


async def count_overtaken(source: Source, placed: Sequence[Placed]) -> int:
    """Count the events that were published after one of a greater position: the hazard was met."""
    table = source.tables.events
    rows = await source.database.read(
        lambda connection: connection.execute(select(table.c.id, table.c.position)).all()
    )
    positions = {row.id: row.position for row in rows}
    greatest, overtaken = defaultdict[TopicPartition, int](int), 0
    for each in _firsts(placed):
        position = positions[each.event.id]
        overtaken += position < greatest[each.at]
        greatest[each.at] = max(greatest[each.at], position)
    return overtaken


def check_claims(
    placed: Sequence[Placed], history: History, watermarks: Sequence[Watermark]
) -> int:
    """Hold each watermark to its claim: what was visible before its tick lies below its offsets."""
    ends = defaultdict[str, dict[TopicPartition, int]](dict)
    for each in _firsts(placed):
        ends[_run_of(each)][each.at] = each.offset + 1
    checks, needed = 0, dict[TopicPartition, int]()
    seen = sorted(history.seen, key=lambda each: each.tick, reverse=True)
    for watermark in sorted(watermarks, key=lambda each: each.tick):
        while seen and seen[-1].tick < watermark.tick:
            for run in seen.pop().runs:
                assert run in ends, f"{watermark} claims a run that is not in the log"
                for at, end in ends[run].items():
                    needed[at] = max(needed.get(at, 0), end)
        for at, end in needed.items():
            assert watermark.offsets[at.topic][at.partition] >= end, watermark
            checks += 1
    return checks
