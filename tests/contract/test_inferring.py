"""Events that are made of the log: each becomes a row once, and what is lost is said to be."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Column, Connection, MetaData, Table, Text, delete, func, insert, select, text

from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.errors import StructuralError, TransientError
from slackwater.event_log.port import NewRecord, TopicPartition
from slackwater.events.event import Event
from slackwater.mining import mining_leader
from slackwater.mining.beginning import LostEventsError
from slackwater.mining.mapping import Inferred, MappedTable, RowChange
from slackwater.mining.pgoutput import UNCHANGED
from slackwater.mining.reading import ChangedTableError, TruncatedTableError
from slackwater.mining.replication import ReplicationStream
from slackwater.mining.way import open_rows
from slackwater.outbox.leader import Leader
from slackwater.outbox.mined import (
    ForgetfulChangeError,
    MinedState,
    MissingPositionError,
    Position,
    allow_rows,
    check_change,
    read_mined,
)
from slackwater.outbox.publishing import AnotherWayError, Publishing
from slackwater.outbox.ticks import hold_epoch
from slackwater.outbox.unpublished import mark_published
from slackwater.testing import counting
from slackwater.testing.relay_contract import (
    DyingLog,
    LogAround,
    Source,
    ended,
    has_events,
    has_events_among,
    has_watermarks,
    in_flight,
    leading,
    running,
    until,
)
from slackwater.testing.relay_lineage_contract import backup, new_log, restore
from tests.contract.cleaned_sources import CleanedSource
from tests.contract.mined_sources import (
    MadeOfLog,
    MinedMessages,
    MinedOutbox,
    MinedRows,
    drop_slot,
    is_marked,
)
from tests.contract.postgresql_sources import PostgresqlSources
from tests.postgresql_server import administrator_of

pytestmark = pytest.mark.engine("postgresql")

_MANY = 3_000
_WRITERS = 8
_DEADLINE_S = 20.0
_PAUSE_S = 0.02  # reading the log back shall not take longer than what is tested
_MARKS_S = 2.0  # in which a miner has marked and confirmed what it can
_SILENT_S = 12.0  # longer than a lease may be silent


_THING = ("id", "mood", "moods", "score", "scores", "price", "at", "day", "took", "raw", "filler")
_THINGS = (
    "CREATE TYPE mood AS ENUM ('glad', 'sad')",
    "CREATE DOMAIN score AS integer CHECK (VALUE > 0)",
    "CREATE DOMAIN scores AS integer[]",
    "CREATE TABLE thing (id text PRIMARY KEY, mood mood, moods mood[], score score, scores scores, "
    "price numeric, at timestamptz, day date, took interval, raw bytea, filler text)",
    "ALTER TABLE thing ALTER filler SET STORAGE EXTERNAL",
    "INSERT INTO thing VALUES ('a', 'glad', '{glad,sad}', 7, '{1,2}', 1.50, "
    "'2026-01-02 03:04:05+06', '2026-01-02', '3 days', 'raw', repeat('x', 10000))",
)


class _InferredContract(PostgresqlSources):
    """What both ways keep."""

    async def test_what_the_server_sends_again_becomes_no_row_again(
        self, source: MinedOutbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ReplicationStream, "confirm", lambda *_: None)
        for known in (0, 10, 20):  # what is claimed lies behind all that comes again
            await _publish(source, 10, known=known)
        published = await source.events()
        assert len(published) == len({event.id for event in published}) == 30
        assert await _rows(source) == 30

    async def test_a_big_transaction_that_was_stored_in_part_goes_on_where_it_was(
        self, source: MinedOutbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mining_leader, "_ROWS_MAX", 7)
        async with running(source.relay(log=DyingLog(source.log))):
            await source.database.transact(
                lambda connection: [source.raise_in(connection, f"c{n % 3}") for n in range(50)]
            )
            await until(lambda: has_events(source, 50))
            await until(lambda: is_marked(source))
        assert await _rows(source) == 50
        assert _values(await source.events()) == {
            f"c{number}": list(range(1, 18 if number < 2 else 17)) for number in range(3)
        }

    async def test_a_log_that_was_lost_gets_the_whole_history_in_a_new_timeline(
        self, source: MinedOutbox, tmp_path: Path
    ) -> None:
        await _publish(source, 3)
        before = (await source.announced())[-1].timeline
        source.log = await new_log(tmp_path / "another log")
        await source.raise_counter("c1")
        async with running(source.relay()):
            await until(lambda: has_watermarks(source))
            await until(lambda: has_events(source, 4))
        assert [event.version for event in await source.events()] == [1, 2, 3, 4]
        assert {each.timeline for each in await source.announced()} - {before}
        await source.log.close()

    async def test_a_replaced_leader_makes_no_rows(
        self, source: MinedOutbox, other: MinedOutbox
    ) -> None:
        """Two would number the same events twice, if the first did not stop."""
        async with running(source.relay()):
            await until(lambda: has_watermarks(source))
            await leading(other)
            for _ in range(5):
                await source.raise_counter("c1")
            await until(lambda: has_events(source, 5))
        assert (await source.tick()).epoch > 2
        assert [event.version for event in await source.events()] == [1, 2, 3, 4, 5]

    async def test_an_event_that_somebody_else_has_added_is_told_and_halts(
        self, source: MinedOutbox
    ) -> None:
        await source.database.transact(lambda connection: _add(connection, 1))
        await source.raise_counter("c1")
        task = asyncio.create_task(source.relay().run())
        if source.publishing is Publishing.LOG_MESSAGES:
            with pytest.raises(StructuralError, match="let nobody else add events"):
                await asyncio.wait_for(task, 20)
        else:  # its versions are counted from those that there are
            await until(lambda: has_events(source, 2))
            await ended(task)

    async def test_who_finds_its_position_deleted_makes_no_rows_and_halts(
        self, source: MadeOfLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await _publish(source, 1)
        make_rows = Leader.make_rows

        def forget(self: Leader, connection: Connection, *args: Any) -> Any:
            _forget_position(connection)
            return make_rows(self, connection, *args)

        monkeypatch.setattr(Leader, "make_rows", forget)
        await source.raise_counter("c1")
        with pytest.raises(MissingPositionError, match="start the service anew"):
            await asyncio.wait_for(source.relay().run(), _DEADLINE_S)
        assert await _rows(source) == 1

    @pytest.mark.parametrize("kind", [Source, MinedMessages, MinedRows])
    async def test_an_instance_that_follows_another_way_is_refused_and_changes_nothing(
        self, source: MinedOutbox, other: MinedOutbox, kind: type[Source]
    ) -> None:
        if source.publishing is kind.publishing:
            return
        with pytest.raises(AnotherWayError, match="SLACKWATER_PUBLISHING"):
            await _like(kind, other).raise_counter("c1")
        await _publish(source, 1)
        assert [event.version for event in await source.events()] == [1]

    async def test_who_looked_before_the_way_was_changed_writes_no_row(
        self, source: MadeOfLog, other: MinedOutbox
    ) -> None:
        """Its snapshot shows the former way for as long as it lasts."""
        await _begin_with_rows(source)
        with pytest.raises(AnotherWayError):
            await _raise_after(_like(MinedOutbox, other), source.begin)
        assert await _rows(source) == 0


class TestMessages(_InferredContract):
    adapter = PostgresqlDatabase
    source_type = MinedMessages

    async def test_a_lost_slot_ends_the_timeline_and_halts_until_somebody_has_mended_it(
        self, source: MinedMessages
    ) -> None:
        await _publish(source, 2)
        drop_slot(source)
        await source.raise_counter("c1")
        before = await source.announced()
        for _ in range(2):
            with pytest.raises(LostEventsError, match="delete the row"):
                await asyncio.wait_for(source.relay().run(), 20)
        [beginning] = (await source.announced())[len(before) :]
        assert beginning.timeline == (await source.tick()).timeline != before[-1].timeline
        assert not beginning.offsets
        await source.database.transact(lambda connection: _add(connection, 3))  # what was lost
        await source.database.transact(_forget_position)
        await source.begin()
        async with running(source.relay()):
            await until(lambda: has_events(source, 3))
            await source.raise_counter("c1")
            await until(lambda: has_events(source, 4))
            await until(lambda: has_watermarks(source, len(before) + 1))
        assert _values(await source.events()) == {"c1": [1, 2, 3, 4]}
        assert (await source.watermarks())[-1].timeline == beginning.timeline

    async def test_a_slot_that_was_made_anew_by_hand_is_a_lost_one(
        self, source: MinedMessages
    ) -> None:
        await _publish(source, 2)
        drop_slot(source)
        await source.raise_counter("c1")
        await source.mined.outside(source.slot.make)
        with pytest.raises(LostEventsError):
            await asyncio.wait_for(source.relay().run(), 20)

    async def test_a_source_that_was_put_back_lacks_what_was_only_in_the_log(
        self, source: MinedMessages
    ) -> None:
        await _publish(source, 1)
        kept = await backup(source)
        await _confirm_more(source)
        await restore(source, kept)
        with pytest.raises(LostEventsError, match="made anew"):
            await asyncio.wait_for(source.relay().run(), 20)

    async def test_who_polls_is_replaced_when_messages_begin(self, source: MinedMessages) -> None:
        await _begin_with_rows(source)
        polling = asyncio.create_task(_like(Source, source).relay().run())
        await until(lambda: has_watermarks(source))
        await source.begin()
        with pytest.raises(ForgetfulChangeError):
            await asyncio.wait_for(polling, 20)

    async def test_a_message_that_nobody_would_read_is_refused(self, source: MinedMessages) -> None:
        await source.database.transact(_forget_position)
        with pytest.raises(AnotherWayError):
            await source.raise_counter("c1")

    async def test_rows_and_messages_may_be_written_by_turns(
        self, source: MinedMessages, other: MinedMessages
    ) -> None:
        rows = _like(MinedOutbox, other)
        for number in range(3):
            await _raise(source, 2)  # nobody reads it now
            async with running(rows.relay()):
                await until(lambda: _may_write_rows(source))
                assert await source.unpublished() == 0
                await _raise(rows, 3)
                await until(lambda count=5 * number + 5: has_events(source, count))  # type: ignore[misc]
            await _raise(rows, 2 * (number == 1))
            await source.begin()
        await _raise(source, 2)
        async with running(source.relay()):
            await until(lambda: has_events(source, 19))
            await until(lambda: is_marked(source))
        assert _values(await source.events()) == {"c1": list(range(1, 20))}
        assert await _versions(source) == list(range(1, 20))
        assert len({each.timeline for each in await source.announced()}) == 1

    async def test_who_looked_before_messages_ended_writes_none(
        self, source: MinedMessages, other: MinedMessages
    ) -> None:
        async def go_back() -> None:
            async with running(_like(MinedOutbox, source).relay()):
                await until(lambda: _may_write_rows(source))

        with pytest.raises(AnotherWayError):
            await _raise_after(other, go_back)
        async with running(source.relay()):
            await until(lambda: has_watermarks(source))
        assert await source.events() == []

    async def test_while_many_write_either_way_rows_stay_in_the_order_of_versions(
        self, source: MinedMessages, other: MinedMessages
    ) -> None:
        rows = _like(MinedOutbox, other)
        stopped = asyncio.Event()

        async def write(own: Source) -> None:
            while not stopped.is_set():
                with suppress(AnotherWayError):
                    await own.raise_counter("c1")
                await asyncio.sleep(_PAUSE_S)

        async with asyncio.TaskGroup() as group:
            for own in [source, rows] * 2:
                group.create_task(write(own))
            for _ in range(3):
                before = await _rows(source)
                async with running(rows.relay()):
                    await until(lambda: _may_write_rows(source))
                    await until(lambda before=before: _has_rows(source, before + 10))  # type: ignore[misc]
                await source.begin()
            stopped.set()
        await _publish(source, 1, known=await _value(source))
        versions = await _versions(source)
        assert versions == list(range(1, len(versions) + 1))
        assert _values(await source.events()) == {"c1": versions}

    async def test_what_became_a_row_and_was_not_published_goes_before_rows(
        self, source: MinedMessages, other: MinedMessages
    ) -> None:
        rows = _like(MinedOutbox, other)
        await _raise(source, 3)
        async with running(rows.relay(log=_FailingOnce(source.log))):
            await until(lambda: _may_write_rows(source))
            await _raise(rows, 2)
            await until(lambda: has_events(source, 5))
        assert [event.version for event in await source.events()] == [1, 2, 3, 4, 5]

    async def test_a_log_that_was_lost_while_messages_wait_gets_them_last(
        self, source: MinedMessages, other: MinedMessages, tmp_path: Path
    ) -> None:
        await _publish(source, 3)
        await _raise(source, 2)
        rows = _like(MinedOutbox, other)
        rows.log = await new_log(tmp_path / "another log")
        async with running(rows.relay()):
            await until(lambda: _may_write_rows(source))
            await _raise(rows, 1)
            await until(lambda: has_events(rows, 6))
        assert [event.version for event in await rows.events()] == [1, 2, 3, 4, 5, 6]
        await rows.log.close()

    async def test_nothing_is_confirmed_that_is_a_row_and_not_published(
        self, source: MinedMessages
    ) -> None:
        await _publish(source, 1)
        async with running(source.relay(log=_FailingOnce(source.log))):
            await source.raise_counter("c1")
            await until(lambda: has_events(source, 2))
        await _raise(source, 1)
        stuck = _StuckLog(source.log)
        async with running(source.relay(log=stuck)):
            await until(lambda: _has_rows(source, 3))
        stored = (await _state(source)).position.lsn
        async with running(source.relay(log=stuck)):
            await asyncio.sleep(_MARKS_S)
            assert await source.mined.outside(lambda each: source.slot.is_behind(each, stored - 1))
        await _publish(source, 0, known=3)

    async def test_what_was_removed_before_messages_is_there_when_events_are_lost(
        self, source: MinedMessages
    ) -> None:
        await _begin_with_rows(source)
        cleaned = CleanedSource(source.database, source.doorbell, source.log)
        async with running(cleaned.relay()):
            await _raise(cleaned, 3)
            await until(lambda: has_events(source, 3))
            await until(lambda: _has_no_rows(source))
        await source.begin()
        await _publish(source, 1, known=3)
        drop_slot(source)
        with pytest.raises(LostEventsError):
            await asyncio.wait_for(source.relay().run(), _DEADLINE_S)
        assert await _versions(source) == [1, 2, 3, 4]

    async def test_messages_that_the_server_sends_again_are_no_trouble_to_a_miner_of_rows(
        self, source: MinedMessages, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ReplicationStream, "confirm", lambda *_: None)
        await _publish(source, 3)
        await _begin_with_rows(source)
        rows, claims = _like(MinedOutbox, source), len(await source.watermarks())
        async with running(rows.relay()):
            await until(lambda: has_watermarks(source, claims + 1))
            await rows.raise_counter("c1")
            await until(lambda: has_events(source, 4))
        assert [event.version for event in await source.events()] == [1, 2, 3, 4]

    async def test_a_service_that_begins_beside_a_miner_of_rows_loses_nothing(
        self, source: MinedMessages
    ) -> None:
        await _begin_with_rows(source)
        rows = _like(MinedOutbox, source)
        async with running(source.relay()):
            await rows.raise_counter("c1")
            await until(lambda: has_events(source, 1))
            await source.begin()
            await source.raise_counter("c1")
            await until(lambda: has_events(source, 2))
        await source.raise_counter("c1")
        async with running(source.relay()):
            await until(lambda: has_events(source, 3))
        assert len({each.timeline for each in await source.announced()}) == 1

    async def test_who_begins_waits_for_a_leader_that_marks_and_not_in_a_circle(
        self, source: MinedMessages, other: MinedMessages
    ) -> None:
        await _begin_with_rows(source)
        leader = await leading(other)
        await _raise(_like(Source, source), 1)
        has_begun, may_mark = threading.Event(), threading.Event()
        attempts: list[int] = []

        def mark(connection: Connection) -> None:
            hold_epoch(connection, counting.tables.tick, leader.epoch)
            has_begun.set()
            assert may_mark.wait(_DEADLINE_S)
            attempts.append(1)
            mark_published(connection, counting.tables.events, [1])

        marking = asyncio.create_task(other.database.transact(mark))
        assert await asyncio.to_thread(has_begun.wait, _DEADLINE_S)
        beginning = asyncio.create_task(source.begin())
        await until(lambda: _somebody_waits(source))
        may_mark.set()
        await asyncio.gather(marking, beginning)
        assert attempts == [1]

    async def test_messages_that_begin_while_a_miner_of_rows_takes_the_lead_come_once(
        self, source: MinedMessages, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await _begin_with_rows(source)
        open_stream = ReplicationStream.open

        async def open_and_begin(*args: Any, **options: Any) -> ReplicationStream:
            stream = await open_stream(*args, **options)
            await source.begin()
            return stream

        monkeypatch.setattr(ReplicationStream, "open", open_and_begin)
        await _publish(source, 3)
        await _publish(source, 3, known=3)
        assert [event.version for event in await source.events()] == [1, 2, 3, 4, 5, 6]

    async def test_publications_that_somebody_has_changed_lose_no_message(
        self, source: MinedMessages, tmp_path: Path
    ) -> None:
        await _publish(source, 1)
        await source.raise_counter("c1")
        _change_publications(source, tmp_path)
        await _publish(source, 1, known=2)
        assert len({each.timeline for each in await source.announced()}) == 1


class _NewRows(MinedRows):
    """Nothing has been inferred from its rows yet."""

    async def prepare(self) -> None:
        await Source.prepare(self)
        await self.begin()


class TestNewRows(PostgresqlSources):
    adapter = PostgresqlDatabase
    source_type = _NewRows

    async def test_between_the_rows_at_the_beginning_and_the_stream_nothing_is_missing_or_twice(
        self, source: _NewRows, other: _NewRows
    ) -> None:
        await source.database.transact(
            lambda connection: connection.execute(
                insert(counting.counters),
                [{"id": f"c{number}", "value": 1, "run": "before"} for number in range(_MANY)],
            ).close()
        )
        stopped = asyncio.Event()

        async def write(own: Source, number: int) -> None:
            while not stopped.is_set():
                await own.raise_counter(f"c{number}")

        async with asyncio.TaskGroup() as group:
            for number in range(_WRITERS):
                group.create_task(write([source, other][number % 2], number))
            async with running(source.relay()):
                await until(lambda: has_watermarks(source))
                stopped.set()
        async with running(source.relay()):
            await until(lambda: _is_told(source))
            await until(lambda: is_marked(source))
        values = _values(await source.events())
        assert len(values) == _MANY
        begun = [found[0] for found in values.values()]
        assert max(begun) > 1  # somebody wrote before, while the slot was made
        for found in values.values():
            assert found == list(range(found[0], found[-1] + 1))
        assert len({each.timeline for each in await source.announced()}) == 1

    async def test_who_dies_while_beginning_is_succeeded_by_one_who_begins_anew(
        self, source: _NewRows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(5):
            await source.raise_counter(f"c{number}")
        dying = _DyingMapping(after=3)
        monkeypatch.setattr(counting, "mapping", replace(counting.mapping, infer=dying.infer))
        async with running(source.relay()):
            await until(lambda: has_events(source, 5))
        assert dying.has_died
        assert await _rows(source) == 5

    async def test_a_transaction_that_stays_open_delays_the_beginning_and_costs_no_lease(
        self, source: _NewRows, other: _NewRows, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async with in_flight(other, lambda connection: other.raise_in(connection, "early")):
            relaying = asyncio.create_task(source.relay().run())
            await asyncio.sleep(_SILENT_S)
            assert await source.announced() == []
        assert "stands by" not in capsys.readouterr().out
        await until(lambda: has_events(source, 1))
        assert (await source.tick()).epoch == 1
        await ended(relaying)

    async def test_who_is_told_to_end_while_it_waits_for_a_transaction_ends(
        self, source: _NewRows, other: _NewRows
    ) -> None:
        async with in_flight(other, lambda connection: other.raise_in(connection, "early")):
            relaying = asyncio.create_task(source.relay().run())
            await asyncio.sleep(2)  # the slot is being made, and waits for that transaction
            async with asyncio.timeout(5):
                await ended(relaying)
        async with running(source.relay()):
            await until(lambda: has_events(source, 1))

    async def test_a_source_that_was_polled_before_begins_a_new_timeline(
        self, source: _NewRows
    ) -> None:
        await _begin_with_rows(source)
        polled = Source(source.database, source.doorbell, source.log)
        async with running(polled.relay()):
            for _ in range(3):
                await polled.raise_counter("c1")
            await until(lambda: has_events(source, 3))
            await until(lambda: is_marked(source))
        await _publish(source, 1, known=4)
        assert len({each.timeline for each in await source.announced()}) == 2
        assert [event.version for event in await source.events()] == [1, 2, 3, 1, 2]
        assert _values(await source.events())["c1"][-2:] == [3, 4]


class TestValues(PostgresqlSources):
    adapter = PostgresqlDatabase
    source_type = _NewRows

    @pytest.fixture
    async def seen(
        self, source: _NewRows, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[list[RowChange]]:
        """Return what the mapping is told, of a table that has one row in the beginning."""
        seen: list[RowChange] = []

        def infer(changes: Sequence[RowChange]) -> Iterator[Inferred]:
            for change in changes:
                seen.append(change)
                yield Inferred(counting.CounterRaised(value=1), "c1", "c1")

        for statement in _THINGS:
            await _execute(source, statement)
        columns = [Column(name, Text, primary_key=name == "id") for name in _THING]
        things = MappedTable(Table("thing", MetaData(), *columns))
        mapping = replace(counting.mapping, tables=(things,), infer=infer)
        monkeypatch.setattr(counting, "mapping", mapping)
        async with running(source.relay()):
            await until(lambda: has_events(source, 1))
            yield seen

    async def test_a_row_has_the_same_values_at_the_beginning_and_in_the_stream(
        self, source: _NewRows, seen: list[RowChange]
    ) -> None:
        others = ", ".join(_THING[1:])
        await _execute(source, f"INSERT INTO thing SELECT 'b', {others} FROM thing")
        await until(lambda: has_events(source, 2))
        [begun, streamed] = [change.new for change in seen]
        assert begun is not None
        assert streamed == {**begun, "id": "b"}
        told = begun["mood"], begun["score"], begun["scores"], begun["moods"]
        assert told == ("glad", 7, [1, 2], "{glad,sad}")

    async def test_a_row_that_gets_another_key_does_not_lose_its_large_values(
        self, source: _NewRows, seen: list[RowChange]
    ) -> None:
        await _execute(source, "UPDATE thing SET id = 'b'")
        await until(lambda: has_events(source, 2))
        assert seen[-1].old is not None
        assert seen[-1].old["id"] == "a"
        assert seen[-1].new is not None
        assert seen[-1].new["filler"] is UNCHANGED


class TestRows(_InferredContract):
    adapter = PostgresqlDatabase
    source_type = MinedRows

    @pytest.mark.parametrize("kind", [Source, MinedOutbox, MinedMessages])
    async def test_a_standby_that_follows_another_way_claims_nothing_and_ends(
        self, source: MinedRows, kind: type[Source]
    ) -> None:
        await _publish(source, 1)
        before = await source.watermarks()
        with pytest.raises(ForgetfulChangeError):
            await asyncio.wait_for(_like(kind, source).relay().run(), 20)
        assert await source.watermarks() == before
        assert (await _state(source)).lost is None

    async def test_a_lost_slot_begins_a_new_timeline_with_the_rows_that_there_are(
        self, source: MinedRows
    ) -> None:
        await _publish(source, 2)
        drop_slot(source)
        await source.raise_counter("c1")
        await _publish(source, 1, known=3)
        events = await source.events()
        assert [event.version for event in events] == [1, 2, 1, 2]
        assert _values(events)["c1"] == [1, 2, 3, 4]
        assert await _rows(source) == 2
        newest = (await source.watermarks())[-1]
        assert newest.timeline != (await source.announced())[0].timeline
        assert sum(newest.beginning.values()) == 2

    async def test_a_source_that_was_put_back_begins_a_new_timeline(
        self, source: MinedRows
    ) -> None:
        await _publish(source, 1)
        kept = await backup(source)
        await _confirm_more(source)
        await restore(source, kept)
        await _publish(source, 1, known=3)
        assert _values((await source.events())[2:]) == {"c1": [1, 2]}
        assert len({each.timeline for each in await source.announced()}) == 2

    async def test_a_slot_that_was_moved_by_hand_is_a_lost_one(
        self, source: MinedRows, tmp_path: Path
    ) -> None:
        await _publish(source, 1)
        await source.raise_counter("c1")
        with administrator_of(tmp_path) as connection:
            move = "SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())"
            connection.execute(move, [source.slot.name])
        await _publish(source, 1, known=2)
        assert len({each.timeline for each in await source.announced()}) == 2

    async def test_a_table_that_is_emptied_at_once_halts_and_a_new_slot_mends_it(
        self, source: MinedRows
    ) -> None:
        await _publish(source, 2)
        await _execute(source, "TRUNCATE counter")
        with pytest.raises(TruncatedTableError, match="pg_drop_replication_slot"):
            await asyncio.wait_for(source.relay().run(), 20)
        drop_slot(source)
        await _publish(source, 1, known=2)
        assert await _rows(source) == 1

    async def test_a_table_that_lacks_a_declared_column_halts(self, source: MinedRows) -> None:
        await source.raise_counter("c1")
        await _execute(source, "ALTER TABLE counter DROP COLUMN run")
        await _execute(source, "UPDATE counter SET value = value + 1")
        with pytest.raises(ChangedTableError, match="lacks run"):
            await asyncio.wait_for(source.relay().run(), 20)

    async def test_deleted_rows_are_told_to_the_mapping(
        self, source: MinedRows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[RowChange] = []

        def infer(changes: Sequence[RowChange]) -> Iterator[Inferred]:
            seen.extend(changes)
            yield from counting.infer_raises(changes)

        monkeypatch.setattr(counting, "mapping", replace(counting.mapping, infer=infer))
        async with running(source.relay()):
            await source.raise_counter("c1")
            await source.raise_counter("c1")
            await _execute(source, "DELETE FROM counter")
            await source.raise_counter("c2")
            await until(lambda: has_events(source, 3))
        assert [(each.kind, (each.new or each.old or {})["id"]) for each in seen] == [
            ("INSERTED", "c1"),
            ("UPDATED", "c1"),
            ("DELETED", "c1"),
            ("INSERTED", "c2"),
        ]


@pytest.mark.parametrize(
    ("former", "chosen"),
    [
        (Publishing.LOG_MESSAGES, Publishing.OUTBOX),
        (Publishing.ROW_CHANGES, Publishing.OUTBOX),
        (Publishing.ROW_CHANGES, Publishing.LOG_OUTBOX),
        (Publishing.ROW_CHANGES, Publishing.LOG_MESSAGES),
    ],
)
def test_a_change_that_would_forget_events_is_refused(
    former: Publishing, chosen: Publishing
) -> None:
    state = MinedState(former, "1", Position(1))
    with pytest.raises(ForgetfulChangeError, match="forget what its log still holds: set"):
        check_change(state, chosen, "inventory")
    check_change(None, chosen, "inventory")
    check_change(state, Publishing.ROW_CHANGES, "inventory")


class _FailingOnce(LogAround):
    """Fails before the first events are appended."""

    has_failed = False

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        if not self.has_failed and has_events_among(records):
            self.has_failed = True
            raise TransientError("the log is away")
        return await super().append(records)


class _StuckLog(LogAround):
    """Takes no event."""

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        if has_events_among(records):
            await asyncio.Event().wait()
        return await super().append(records)


class _DyingMapping:
    """Fails once, in the middle of a transaction's changes."""

    def __init__(self, after: int) -> None:
        self._after = after
        self.has_died = False

    def infer(self, changes: Sequence[RowChange]) -> Iterator[Inferred]:
        for number, inferred in enumerate(counting.infer_raises(changes)):
            if number == self._after and not self.has_died:
                self.has_died = True
                raise TransientError("died in the middle")
            yield inferred


def _like(kind: type[Source], source: Source) -> Source:
    """Return the same source as one sees it who follows another way."""
    return kind(source.database, source.doorbell, source.log)


async def _publish(source: MinedOutbox, count: int, known: int = 0) -> None:
    """Run a miner until it has published and marked so many more."""
    claims = len(await source.watermarks())
    async with running(source.relay()):
        await until(lambda: has_watermarks(source, claims + 1))
        for _ in range(count):
            await source.raise_counter("c1")
        await until(lambda: has_events(source, known + count))
        await until(lambda: is_marked(source))


async def _confirm_more(source: MinedOutbox) -> None:
    """Publish one more event, so that the server need not send it again."""
    state = await _state(source)
    async with running(source.relay()):
        await source.raise_counter("c1")
        await until(lambda: has_events(source, 2))
        await until(lambda: _is_confirmed(source, state.position.lsn))


async def _is_confirmed(source: MinedOutbox, lsn: int) -> bool:
    return not await source.mined.outside(lambda each: source.slot.is_behind(each, lsn))


async def _state(source: Source) -> MinedState:
    state = await source.database.read(
        lambda connection: read_mined(connection, counting.tables.mined)
    )
    assert state is not None
    return state


async def _execute(source: Source, statement: str) -> None:
    await source.database.transact(lambda connection: connection.execute(text(statement)).close())


async def _rows(source: Source) -> int:
    table = counting.tables.events
    return await source.database.read(
        lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one()
    )


async def _is_told(source: Source) -> bool:
    """Tell whether the newest value of every counter is in an event."""
    table = counting.counters
    rows = await source.database.read(
        lambda connection: connection.execute(select(table.c.id, table.c.value)).all()
    )
    values = _values(await source.events())
    return all(max(values.get(id_, [0])) == value for id_, value in rows)


def _add(connection: Connection, version: int) -> None:
    """Add by hand what a service may not."""
    allow_rows(connection)
    counting.unit_of_work(connection).add(
        counting.CounterRaised(value=version),
        aggregate_id="c1",
        version=version,
        partition_key="c1",
    )


async def _raise(source: Source, times: int) -> None:
    for _ in range(times):
        await source.raise_counter("c1")


async def _may_write_rows(source: Source) -> bool:
    return await source.database.read(_has_no_position)


def _has_no_position(connection: Connection) -> bool:
    return read_mined(connection, counting.tables.mined) is None


async def _begin_with_rows(source: MinedOutbox) -> None:
    """Have rows be written; no message waits."""
    await source.database.transact(_forget_position)
    await source.mined.outside(lambda each: open_rows(each, source.tables.events.name))


async def _raise_after(source: Source, change: Callable[[], Awaitable[None]]) -> None:
    """Raise a counter in a transaction that has its snapshot before a change, and no lock."""
    has_looked, may_write = threading.Event(), threading.Event()

    def write(connection: Connection) -> None:
        read_mined(connection, counting.tables.mined)
        has_looked.set()
        assert may_write.wait(_DEADLINE_S)
        source.raise_in(connection, "c1")

    writing = asyncio.create_task(source.database.transact(write))
    assert await asyncio.to_thread(has_looked.wait, _DEADLINE_S)
    await change()
    may_write.set()
    await writing


def _change_publications(source: MinedOutbox, directory: Path) -> None:
    with administrator_of(directory) as connection:
        for name in source.slot.publications:
            connection.execute(f"ALTER PUBLICATION \"{name}\" SET (publish = 'delete')".encode())


async def _versions(source: Source) -> list[int]:
    """Return the versions in the order of the rows."""
    table = counting.tables.events
    return await source.database.read(
        lambda connection: list(
            connection.execute(select(table.c.version).order_by(table.c.position)).scalars()
        )
    )


async def _somebody_waits(source: Source) -> bool:
    waiting = text(
        "SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
        "WHERE NOT l.granted AND a.datname = current_database()"
    )
    return await source.database.read(lambda each: each.execute(waiting).first() is not None)


async def _has_no_rows(source: Source) -> bool:
    return await _rows(source) == 0


async def _value(source: Source) -> int:
    table = counting.counters
    return await source.database.read(
        lambda connection: connection.execute(select(func.max(table.c.value))).scalar_one()
    )


async def _has_rows(source: Source, count: int) -> bool:
    return await _rows(source) >= count


def _forget_position(connection: Connection) -> None:
    connection.execute(delete(counting.tables.mined))


def _values(events: Sequence[Event]) -> dict[str, list[int]]:
    """Return the values of each counter in the order of their first publishing."""
    values, seen = defaultdict[str, list[int]](list), set[str]()
    for event in events:
        if event.id not in seen:
            seen.add(event.id)
            body = counting.event_types.decode(event).body
            values[event.aggregate_id].append(body.value)
    return dict(values)
