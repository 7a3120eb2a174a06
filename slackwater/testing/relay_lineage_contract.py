"""The contract of the relay over a source that was restored, or whose log was lost.

Where the histories of source and log have parted, no tick of the old one counts any more: a new
timeline begins, and everything is published again in it. Where they have not, nothing of the kind
happens, whoever dies and whatever is lost that nobody was told of.

Subclass `RelayLineageContract` beside `RelayContract`, on the same `adapter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, Table, insert, select, update

from slackwater.clock import SystemClock
from slackwater.errors import FencedError, TransientError
from slackwater.event_log.port import EventLog, NewRecord, Record, TopicPartition
from slackwater.event_log.sqlite import SqliteEventLog
from slackwater.events.cloudevents import ID_HEADER, TIMELINE_HEADER
from slackwater.local_doorbell import LocalDoorbell
from slackwater.outbox.leader import Leader
from slackwater.outbox.mined import allow_rows
from slackwater.outbox.ticks import raise_tick
from slackwater.testing import counting
from slackwater.testing.claims import AdapterContract, Guarantee, holds
from slackwater.testing.relay_contract import (
    DyingLog,
    LogAround,
    Source,
    has_watermarks,
    leading,
    running,
    until,
)
from slackwater.watermarks.record import WATERMARKS, Watermark

Backup = dict[Table, Sequence[Any]]

_TOPIC = counting.COUNTERS.name


class Published(NamedTuple):
    """An event's place in the log, and the timeline that it was published in."""

    id: str
    timeline: str
    at: TopicPartition
    offset: int


class RelayLineageContract(AdapterContract):
    """What becomes of a source's history; the test names are the contract."""

    @holds(Guarantee.WATERMARKS)
    async def test_a_timeline_begins_in_the_log_before_anything_is_published_or_claimed(
        self, source: Source
    ) -> None:
        await source.raise_counter("c1")
        leader = await leading(source)
        [beginning] = await source.announced()
        assert (beginning.offsets, sum(beginning.beginning.values())) == ({}, 0)
        assert not await source.events()
        await leader.step()
        [claim] = await source.watermarks()
        [event] = await published(source)
        assert {beginning.timeline, claim.timeline} == {event.timeline} != {""}
        assert claim.since == beginning.since

    async def test_a_failover_goes_on_in_the_same_timeline(
        self, source: Source, other: Source
    ) -> None:
        for each in (source, other, source):
            await each.raise_counter("c1")
            await (await leading(each)).step()
        assert len(await timelines(source)) == 1
        assert len(await source.events()) == 3

    async def test_relays_that_take_turns_part_nothing(self, source: Source, other: Source) -> None:
        async with running(other.relay()):
            await until(lambda: has_watermarks(source))
        async with running(source.relay()):
            await until(lambda: has_watermarks(source, 5))
        assert len(await timelines(source)) == 1

    async def test_death_between_append_and_mark_parts_nothing(
        self, source: Source, other: Source
    ) -> None:
        await source.raise_counter("c1")
        dying = await leading(source, log=DyingLog(source.log))
        with pytest.raises(TransientError):
            await dying.step()
        await (await leading(other)).step()
        assert len(await timelines(source)) == 1

    async def test_a_tick_lost_before_it_was_claimed_parts_nothing(self, source: Source) -> None:
        leader = await leading(source)
        await leader.step()
        kept = await backup(source)
        tick = await source.tick()
        await source.database.transact(
            lambda connection: raise_tick(connection, source.tables.tick, tick.epoch, {})
        )
        await restore(source, kept)
        await (await leading(source)).step()
        assert len(await timelines(source)) == 1

    async def test_a_restored_source_begins_a_new_timeline_and_publishes_all_of_it_again(
        self, source: Source
    ) -> None:
        await advance(source, 2)
        kept = await backup(source)
        await advance(source, 3)
        await restore(source, kept)
        before = (await source.watermarks())[-1]
        await (await leading(source)).step()
        after = (await source.watermarks())[-1]
        assert after.tick > before.tick
        assert after.timeline != before.timeline
        assert sum(after.beginning.values()) == 5
        assert await ids_in(source, after) == await ids_of(source)
        assert len(await ids_of(source)) == 2

    @holds(Guarantee.WATERMARKS)
    async def test_a_restored_source_that_overtakes_what_was_known_has_parted_all_the_same(
        self, source: Source
    ) -> None:
        await advance(source, 1)
        kept = await backup(source)
        await advance(source, 3)
        lost = (await source.watermarks())[-1]
        await restore(source, kept)
        await advance(source, 10)
        newest = (await source.watermarks())[-1]
        assert newest.n > lost.n + 5
        assert newest.timeline != lost.timeline
        assert await ids_in(source, newest) == await ids_of(source)

    async def test_a_source_restored_into_a_newer_epoch_has_parted(self, source: Source) -> None:
        await advance(source, 1)
        kept = await backup(source)
        await advance(source, 3)
        await restore(source, kept)
        await source.database.transact(
            lambda connection: connection.execute(
                update(source.tables.tick).values(epoch=1_000)
            ).close()
        )
        await (await leading(source)).step()
        assert len(await timelines(source)) == 2

    async def test_a_lost_log_begins_a_new_timeline_and_gets_everything(
        self, source: Source, tmp_path: Path
    ) -> None:
        await advance(source, 3)
        before = (await source.watermarks())[-1]
        source.log = await new_log(tmp_path / "another log")
        await leading(source)
        await (await leading(source)).step()
        after = (await source.watermarks())[-1]
        assert await timelines(source) == {after.timeline} != {before.timeline}
        assert await ids_in(source, after) == await ids_of(source)
        assert len(await source.events()) == 3
        await source.log.close()

    async def test_a_foreign_database_begins_a_new_timeline(self, source: Source) -> None:
        empty = await backup(source)
        await advance(source, 2)
        await restore(source, empty)
        await advance(source, 5)
        assert len(await timelines(source)) == 2
        newest = (await source.watermarks())[-1]
        assert await ids_in(source, newest) == await ids_of(source)

    async def test_an_event_in_the_log_that_the_source_does_not_know_parts_them(
        self, source: Source
    ) -> None:
        await advance(source, 1)
        kept = await backup(source)
        await source.raise_counter("lost")
        dying = await leading(source, log=DyingLog(source.log))
        with pytest.raises(TransientError):
            await dying.step()
        await restore(source, kept)
        await (await leading(source)).step()
        assert len(await timelines(source)) == 2

    async def test_an_event_that_only_the_newest_claim_covers_parts_them_too(
        self, source: Source
    ) -> None:
        """What is committed after a tick may be published, and claimed, before the next one."""
        await advance(source, 1)
        leader = await leading(source)
        tick = await leader.raise_tick()
        kept = await backup(source)
        await source.raise_counter("c0")
        assert await leader.publish_all() == 1
        await leader.log_side.claim(tick)
        await restore(source, kept)
        assert (await source.tick()).n == (await source.watermarks())[-1].n
        await source.raise_counter("c0")
        await (await leading(source)).step()
        newest = (await source.watermarks())[-1]
        assert newest.timeline != tick.timeline
        assert await ids_in(source, newest) == await ids_of(source)
        assert len(await ids_of(source)) == 2

    async def test_what_a_claim_covers_is_remembered_with_the_next_tick(
        self, source: Source
    ) -> None:
        """So that a look at what was never acknowledged to us has little to read."""
        leader = await advance(source, 2)
        await source.log.append([as_new(record) for record in await source.records(_TOPIC)])
        await leader.step()
        assert sum((await source.acknowledged()).values()) == 2
        await leader.step()
        assert sum((await source.acknowledged()).values()) == 4
        with pytest.raises(FencedError):
            await self._raised_by_a_replaced(source)
        assert sum((await source.acknowledged()).values()) == 4

    async def _raised_by_a_replaced(self, source: Source) -> None:
        replaced = await leading(source)
        await leading(source)
        await source.log.append([as_new(record) for record in await source.records(_TOPIC)])
        await replaced.log_side.claim(await source.tick())
        await replaced.raise_tick()

    async def test_a_log_that_ends_before_what_was_claimed_parts_them(
        self, source: Source, tmp_path: Path
    ) -> None:
        await advance(source, 3)
        claim = (await source.watermarks())[-1]
        source.log = await new_log(tmp_path / "another log")
        await source.log.append([claim.to_record()])
        await (await leading(source)).step()
        newest = (await source.watermarks())[-1]
        assert newest.timeline != claim.timeline
        assert len(await source.events()) == 3
        await source.log.close()

    @holds(Guarantee.WATERMARKS)
    async def test_a_log_put_back_to_a_backup_gets_what_it_has_lost(
        self, source: Source, tmp_path: Path
    ) -> None:
        leader = await leading(source)
        await source.raise_counter("c1")
        await leader.step()
        kept = [*await source.records(_TOPIC), *await source.records(WATERMARKS.name)]
        await source.raise_counter("c1")
        await leader.step()
        source.log = await new_log(tmp_path / "another log")
        await source.log.append([as_new(record) for record in kept])
        await (await leading(source)).step()
        newest = (await source.watermarks())[-1]
        assert newest.timeline != (await source.watermarks())[0].timeline
        assert await ids_in(source, newest) == await ids_of(source)
        assert len(await ids_of(source)) == 2
        await source.log.close()

    @pytest.mark.parametrize("lost", [1, 2])
    async def test_a_log_put_back_under_a_leader_is_noticed_before_anything_is_marked(
        self, source: Source, tmp_path: Path, lost: int
    ) -> None:
        """Also where what the leader appends fills up what is missing."""
        log = LogAround(source.log)
        leader = await leading(source, log=log)
        await source.raise_counter("c1")
        await leader.step()
        kept = [*await source.records(_TOPIC), *await source.records(WATERMARKS.name)]
        for _ in range(lost):
            await source.raise_counter("c1")
            await leader.step()
        source.log = log._log = await new_log(tmp_path / "another log")  # noqa: SLF001
        await source.log.append([as_new(record) for record in kept])
        await source.raise_counter("c1")
        with pytest.raises(TransientError, match="lost or put back"):
            await leader.step()
        await (await leading(source)).step()
        newest = (await source.watermarks())[-1]
        assert await ids_in(source, newest) == await ids_of(source)
        assert len(await ids_of(source)) == 2 + lost
        await source.log.close()

    async def test_death_before_a_timeline_begins_in_the_log_leaves_that_to_the_successor(
        self, source: Source, other: Source
    ) -> None:
        await part(source)
        with pytest.raises(TransientError):
            await leading(source, log=_SilentLog(source.log))
        unheard = (await source.tick()).timeline
        await (await leading(other)).step()
        newest = (await source.watermarks())[-1]
        assert newest.timeline == (await source.tick()).timeline
        assert unheard not in await timelines(source)
        assert await ids_in(source, newest) == await ids_of(source)

    async def test_death_after_a_timeline_has_begun_goes_on_in_it(
        self, source: Source, other: Source
    ) -> None:
        await part(source)
        dying = await leading(source, log=DyingLog(source.log))
        begun = (await source.tick()).timeline
        with pytest.raises(TransientError):
            await dying.step()
        await (await leading(other)).step()
        newest = (await source.watermarks())[-1]
        assert newest.timeline == begun
        assert await ids_in(source, newest) == await ids_of(source)

    @holds(Guarantee.FENCING)
    async def test_a_replaced_leader_begins_no_timeline(
        self, source: Source, other: Source
    ) -> None:
        await part(source)
        with pytest.raises(FencedError):
            await leading(source, log=_OvertakenBeforeLog(source.log, other))
        assert len(await timelines(source)) == 2
        assert await source.unpublished() == len(await ids_of(source))

    async def test_a_service_that_looks_before_any_relay_begins_the_timeline_itself(
        self, source: Source, other: Source
    ) -> None:
        await part(source)
        await source.lineage().settle()
        begun = (await source.tick()).timeline
        await (await leading(other)).step()
        newest = (await source.watermarks())[-1]
        assert newest.timeline == begun
        assert await ids_in(source, newest) == await ids_of(source)

    async def test_a_service_that_looks_leaves_a_leader_alone(
        self, source: Source, other: Source
    ) -> None:
        leader = await leading(source)
        await source.raise_counter("c1")
        await leader.step()
        await other.lineage().settle()
        await leader.step()
        assert len(await timelines(source)) == 1

    async def test_what_a_replaced_leader_says_late_of_an_old_timeline_is_void(
        self, source: Source
    ) -> None:
        await advance(source, 1)
        old = (await source.watermarks())[-1]
        [event] = await source.records(_TOPIC)
        await part(source)
        await (await leading(source)).step()
        begun = (await source.tick()).timeline
        await source.log.append([as_new(event, **{ID_HEADER: "never heard of"}), old.to_record()])
        await (await leading(source)).step()
        assert (await source.tick()).timeline == begun
        assert (await source.watermarks())[-1].timeline == begun

    async def test_the_newest_record_of_another_source_is_no_concern_of_ours(
        self, source: Source
    ) -> None:
        other = Watermark(
            source="other", timeline="theirs", epoch=9, n=9, clock=SystemClock().now(), offsets={}
        )
        await source.log.append([other.to_record()])
        await advance(source, 2)
        await source.log.append([replace(other, n=10).to_record()])
        await advance(source, 1)
        assert len(await timelines(source) - {"theirs"}) == 1


class _SilentLog(LogAround):
    """Fails before each append."""

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        raise TransientError("the connection broke before the append")


class _OvertakenBeforeLog(LogAround):
    """Lets another relay take the lead when it is first asked for ends."""

    def __init__(self, log: EventLog, other: Source) -> None:
        super().__init__(log)
        self._other: Source | None = other

    async def end_offsets(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        if self._other is not None:
            other, self._other = self._other, None
            await leading(other)
        return await super().end_offsets(topics)


async def advance(source: Source, count: int) -> Leader:
    """Commit, publish and claim event after event, in an epoch of its own; return who did."""
    leader = await leading(source)
    for number in range(count):
        await source.raise_counter(f"c{number % 2}")
        await leader.step()
    return leader


async def part(source: Source) -> None:
    """Put the source back behind what the log has of it."""
    await advance(source, 2)
    kept = await backup(source)
    await advance(source, 3)
    await restore(source, kept)


async def backup(source: Source) -> Backup:
    """Return all that is in the source's database."""
    return await source.database.read(
        lambda connection: {
            table: connection.execute(select(table)).mappings().all()
            for table in source.metadata.sorted_tables
        }
    )


async def restore(source: Source, kept: Backup) -> None:
    """Put the source's database back to what was kept."""

    def work(connection: Connection) -> None:
        allow_rows(connection)
        for table in source.metadata.sorted_tables:
            connection.execute(table.delete())
            if rows := [dict(row) for row in kept[table]]:
                connection.execute(insert(table), rows)

    await source.database.transact(work)


async def new_log(directory: Path) -> EventLog:
    log = SqliteEventLog(directory, LocalDoorbell())
    await log.create_topics([counting.COUNTERS, WATERMARKS])
    return log


async def published(source: Source) -> list[Published]:
    return [
        Published(
            record.headers[ID_HEADER],
            record.headers[TIMELINE_HEADER],
            record.topic_partition,
            record.offset,
        )
        for record in await source.records(_TOPIC)
    ]


async def timelines(source: Source) -> set[str]:
    return {watermark.timeline for watermark in await source.announced()}


async def ids_of(source: Source) -> set[str]:
    """Return the ids of the source's own events."""
    column = source.tables.events.c.id
    return await source.database.read(
        lambda connection: set(connection.execute(select(column)).scalars())
    )


async def ids_in(source: Source, claim: Watermark) -> set[str]:
    """Return what whoever folds the claim's timeline, up to the claim, has folded."""
    return {
        each.id
        for each in await published(source)
        if claim.beginning[each.at] <= each.offset < claim.claimed[each.at]
        and each.timeline == claim.timeline
    }


def as_new(record: Record, **headers: str) -> NewRecord:
    """Return the record for another append."""
    return NewRecord(
        topic=record.topic,
        key=record.key,
        value=record.value,
        headers={**record.headers, **headers},
    )
