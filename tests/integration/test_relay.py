"""The relay on the embedded database and log: nothing lost, order kept, watermarks sound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from slackwater.database.sqlite import SqliteDatabase
from slackwater.errors import FencedError, TransientError
from slackwater.event_log.port import Assignment, NewRecord, Record, TopicPartition
from slackwater.event_log.sqlite import SqliteEventLog
from slackwater.events.cloudevents import from_headers
from slackwater.outbox.relay import Relay
from slackwater.outbox.ticks import current_tick
from slackwater.sockets_doorbell import SocketDoorbell
from slackwater.testing import counting
from slackwater.watermarks.record import WATERMARKS, Watermark


class Source(NamedTuple):
    database: SqliteDatabase
    log: SqliteEventLog
    doorbell: SocketDoorbell

    def relay(self, log: SqliteEventLog | None = None) -> Relay:
        return Relay(
            "counting",
            topics=[counting.COUNTERS.name],
            tables=counting.tables,
            database=self.database,
            log=log or self.log,
            doorbell=self.doorbell,
        )

    async def raise_counter(self, counter_id: str) -> None:
        await self.database.transact(
            lambda connection: counting.unit_of_work(connection).run(
                lambda unit: counting.raise_counter(unit, counter_id)
            )
        )

    async def read(self, topic: str) -> list[Record]:
        subscription = await self.log.subscribe([topic], group=None)
        records: list[Record] = []
        while True:
            polled = await subscription.poll(max_records=1_000, timeout_ms=20)
            if isinstance(polled, Assignment):
                await subscription.seek({})
            elif polled:
                records.extend(polled)
            else:
                await subscription.close()
                return records

    async def watermarks(self) -> list[Watermark]:
        return [Watermark.from_value(record.value) for record in await self.read(WATERMARKS.name)]


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[Source]:
    doorbell = SocketDoorbell(tmp_path)
    database = SqliteDatabase(tmp_path / "counting.sqlite")
    log = SqliteEventLog(tmp_path / "log", doorbell)
    await database.transact(counting.metadata.create_all)
    await log.create_topics([counting.COUNTERS, WATERMARKS])
    yield Source(database, log, doorbell)
    await log.close()
    await database.close()
    doorbell.close()


async def test_every_commit_is_published_once_and_in_version_order(source: Source) -> None:
    relay = source.relay()
    await relay.take_lead()
    writes = [source.raise_counter(f"c{number % 7}") for number in range(200)]
    steps = [relay.step() for _ in range(3)]
    await asyncio.gather(*writes)
    for step in steps:
        await step
    await relay.step()

    records = await source.read(counting.COUNTERS.name)
    events = [from_headers(r.topic, r.headers, r.value) for r in records]
    assert len(events) == len({event.id for event in events}) == 200
    for number in range(7):
        versions = [event.version for event in events if event.aggregate_id == f"c{number}"]
        assert versions == list(range(1, len(versions) + 1))


async def test_a_watermark_covers_everything_visible_before_its_tick(source: Source) -> None:
    relay = source.relay()
    await relay.take_lead()
    for number in range(5):
        await source.raise_counter(f"c{number}")
        before = await source.database.read(
            lambda connection: current_tick(connection, counting.tables.tick)
        )
        await relay.step()
        watermark = (await source.watermarks())[-1]
        assert watermark.tick > before
        ends = await source.log.end_offsets([counting.COUNTERS.name])
        assert sum(ends.values()) == number + 1
        assert watermark.is_reached_by(ends, [counting.COUNTERS.name])
        one_less = {**ends, max(ends, key=ends.__getitem__): max(ends.values()) - 1}
        assert not watermark.is_reached_by(one_less, [counting.COUNTERS.name])


async def test_an_idle_relay_keeps_ticking_on_every_partition(source: Source) -> None:
    relay = source.relay()
    await relay.take_lead()
    await relay.step()
    await relay.step()
    ticks = [watermark.tick for watermark in await source.watermarks()]
    assert ticks == sorted(set(ticks))
    assert len(ticks) == 2


class _DyingLog(SqliteEventLog):
    """Dies after the records are durable, before the relay hears of it."""

    dies = True

    async def append(self, records: list[NewRecord]) -> list[tuple[TopicPartition, int]]:  # type: ignore[override]
        appended = await super().append(records)
        if self.dies:
            raise TransientError("the connection broke after the append")
        return appended


async def test_death_between_append_and_mark_repeats_events_and_loses_none(
    source: Source, tmp_path: Path
) -> None:
    await source.raise_counter("c1")
    dying = _DyingLog(tmp_path / "log", source.doorbell)
    first = source.relay(dying)
    await first.take_lead()
    with pytest.raises(TransientError):
        await first.step()
    assert await source.watermarks() == []

    second = source.relay()
    await second.take_lead()
    await second.step()
    events = await source.read(counting.COUNTERS.name)
    assert len(events) == 2
    assert len({record.headers["ce_id"] for record in events}) == 1
    assert sum(sum(w) for w in (await source.watermarks())[-1].offsets.values()) == 2
    await dying.close()


async def test_a_replaced_relay_publishes_marks_and_claims_nothing_more(source: Source) -> None:
    old, new = source.relay(), source.relay()
    await old.take_lead()
    await new.take_lead()
    await source.raise_counter("c1")
    with pytest.raises(FencedError):
        await old.step()
    assert await source.read(counting.COUNTERS.name) == []
    assert await new.step() == 1


async def test_a_running_relay_is_woken_by_a_commit(source: Source) -> None:
    relay = asyncio.create_task(source.relay().run())
    await source.raise_counter("c1")
    async with asyncio.timeout(5):
        while not await source.read(counting.COUNTERS.name):
            pass
    relay.cancel()
    with pytest.raises(asyncio.CancelledError):
        await relay
