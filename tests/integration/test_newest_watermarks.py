"""What the log says of each source last, whoever else speaks late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slackwater.event_log.sqlite import SqliteEventLog
from slackwater.local_doorbell import LocalDoorbell
from slackwater.watermarks.newest import newest_by_topic, newest_watermarks
from slackwater.watermarks.record import WATERMARKS, Watermark


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteEventLog]:
    log = SqliteEventLog(tmp_path, LocalDoorbell())
    await log.create_topics([WATERMARKS])
    yield log
    await log.close()


def watermark(source: str, epoch: int, n: int, **fields: Any) -> Watermark:
    now = datetime.now(UTC)
    return Watermark(
        source=source, epoch=epoch, n=n, clock=now, **{"offsets": {source: [n]}, **fields}
    )


async def test_an_empty_log_says_nothing(log: SqliteEventLog) -> None:
    assert await newest_watermarks(log) == {}


async def test_the_newest_has_the_greatest_tick_and_not_the_last_word(log: SqliteEventLog) -> None:
    said = [watermark("a", 1, 5), watermark("b", 1, 9), watermark("a", 2, 5), watermark("a", 1, 6)]
    await log.append([each.to_record() for each in said])
    assert await newest_watermarks(log) == {"a": said[2], "b": said[1]}


async def test_a_silent_source_is_found_behind_any_number_of_others(log: SqliteEventLog) -> None:
    silent = watermark("silent", 1, 1)
    await log.append([silent.to_record()])
    for first in range(0, 5_000, 500):
        await log.append([watermark("a", 1, n).to_record() for n in range(first, first + 500)])
    assert (await newest_watermarks(log))["silent"] == silent


async def test_a_topic_that_came_after_the_timeline_belongs_to_its_source_too(
    log: SqliteEventLog,
) -> None:
    said = watermark("a", 1, 1, offsets={"old": [1], "new": [0]}, since={"old": [1]})
    await log.append([said.to_record()])
    assert await newest_by_topic(log) == {"old": said, "new": said}
