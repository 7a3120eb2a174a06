"""Consumers follow one timeline, from where it begins, and are never taken in by another."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from slackwater.consumer.timelines import PartedError, Timelines
from slackwater.errors import TransientError
from slackwater.event_log.port import Record, TopicPartition
from slackwater.events.cloudevents import TIMELINE_HEADER
from slackwater.watermarks.record import Watermark

AT = TopicPartition("t", 0)
OLD, NEW = "old", "new"


class Log:
    """What the log says of the timelines."""

    def __init__(self) -> None:
        self.newest: dict[str, Watermark] = {}
        self.asked = 0

    def says(self, timeline: str, since: int = 0) -> None:
        self.newest["t"] = Watermark(
            source="s",
            timeline=timeline,
            epoch=1,
            n=1,
            clock=datetime.now(UTC),
            offsets={},
            since={"t": [since]},
        )

    async def newest_by_topic(self) -> Mapping[str, Watermark]:
        self.asked += 1
        return self.newest


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def timelines(log: Log) -> Timelines:
    return Timelines(log.newest_by_topic)


def record(offset: int, timeline: str | None) -> Record:
    headers = {} if timeline is None else {TIMELINE_HEADER: timeline}
    return Record(topic="t", partition=0, offset=offset, key="k", value=b"", headers=headers)


async def admitted(timelines: Timelines, *records: Record) -> list[int]:
    return [each.offset for each in await timelines.admit(records)]


async def test_what_follows_nothing_begins_where_the_newest_timeline_does(
    log: Log, timelines: Timelines
) -> None:
    log.says(NEW, since=7)
    begun = await timelines.assigned({AT: 0}, {})
    assert (begun[AT].timeline, begun[AT].beginning) == (NEW, 7)
    assert await admitted(timelines, record(6, OLD), record(7, NEW)) == [7]
    assert timelines.of({AT: 8}) == {AT: NEW}


async def test_a_timeline_that_has_not_begun_yet_is_learnt_from_its_first_record(
    log: Log, timelines: Timelines
) -> None:
    assert await timelines.assigned({AT: 0}, {}) == {}
    with pytest.raises(TransientError, match="relay"):
        await timelines.admit([record(0, NEW)])
    log.says(NEW, since=1)
    assert await admitted(timelines, record(0, OLD), record(1, NEW)) == [1]


async def test_what_is_followed_goes_on_and_nobody_is_asked_for_each_batch(
    log: Log, timelines: Timelines
) -> None:
    log.says(OLD)
    assert await timelines.assigned({AT: 5}, {AT: OLD}) == {}
    asked = log.asked
    assert await admitted(timelines, record(5, OLD), record(6, OLD)) == [5, 6]
    assert log.asked == asked


async def test_a_late_record_of_an_old_timeline_is_void(log: Log, timelines: Timelines) -> None:
    log.says(NEW, since=3)
    await timelines.assigned({AT: 4}, {AT: NEW})
    assert await admitted(timelines, record(4, OLD), record(5, NEW)) == [5]


async def test_a_record_of_a_newer_timeline_is_never_admitted(
    log: Log, timelines: Timelines
) -> None:
    log.says(OLD)
    await timelines.assigned({AT: 4}, {AT: OLD})
    log.says(NEW, since=5)
    with pytest.raises(PartedError):
        await timelines.admit([record(4, OLD), record(5, NEW)])
    assert await admitted(timelines, record(4, OLD)) == [4]


@pytest.mark.parametrize("timelines_before", [{AT: OLD}, {}])
async def test_what_has_parted_while_nobody_consumed_is_not_gone_on_with(
    log: Log, timelines: Timelines, timelines_before: dict[TopicPartition, str]
) -> None:
    log.says(NEW, since=5)
    with pytest.raises(PartedError, match="restored"):
        await timelines.assigned({AT: 9}, timelines_before)


async def test_whoever_may_begins_again_where_the_new_timeline_does(
    log: Log, timelines: Timelines
) -> None:
    log.says(NEW, since=5)
    begun = await timelines.begun({AT: 900}, {AT: OLD})
    assert begun[AT].beginning == 5


async def test_a_log_that_says_nothing_of_what_was_followed_is_waited_for(
    timelines: Timelines,
) -> None:
    with pytest.raises(TransientError, match="relay"):
        await timelines.assigned({AT: 9}, {AT: OLD})


async def test_positions_of_before_there_were_timelines_go_on(
    log: Log, timelines: Timelines
) -> None:
    log.says("")
    assert await timelines.assigned({AT: 9}, {}) == {}
    assert await admitted(timelines, record(9, None)) == [9]
