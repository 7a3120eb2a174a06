"""The contract of the relay over a source whose published events are removed after a while.

What is not published is never removed, and nobody but the leader removes anything. Removing parts
no histories. Where they have parted, everything is published again all the same: what is no longer
in the table is taken back from the log, and where that does not have it for certain, nothing is
published or claimed at all.

Subclass `RelayCleaningContract` beside `RelayContract`, on the same `adapter`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, false, select, update

from slackwater.clock import Clock, SystemClock
from slackwater.database.port import LostLeaseError, Session
from slackwater.errors import FencedError, TransientError
from slackwater.event_log import reading as reading_module
from slackwater.event_log.port import EventLog, NewRecord, Record, Subscription, TopicPartition
from slackwater.events.cloudevents import ID_HEADER, TIMELINE_HEADER
from slackwater.outbox import cleaner as cleaner_module
from slackwater.outbox import refill as refill_module
from slackwater.outbox.cleaner import Cleaner
from slackwater.outbox.leader import Leader
from slackwater.outbox.removal import HistoryRemovedError, count_put_back, count_removed
from slackwater.outbox.ticks import take_epoch
from slackwater.testing import counting
from slackwater.testing.claims import Guarantee, holds
from slackwater.testing.clock import ManualClock
from slackwater.testing.relay_contract import (
    DyingLog,
    LogAround,
    SessionAround,
    Source,
    SourceContract,
    T,
    has_events,
    leading,
    running,
    until,
)
from slackwater.testing.relay_lineage_contract import (
    advance,
    as_new,
    backup,
    ids_in,
    ids_of,
    new_log,
    restore,
    timelines,
)
from slackwater.watermarks.record import WATERMARKS

_TOPIC = counting.COUNTERS.name
_HOUR_S = 3_600.0
_MOMENT_S = 0.1


class RelayCleaningContract(SourceContract):
    """What becomes of events that were published; the test names are the contract."""

    async def test_published_events_are_removed_once_they_are_old(self, source: Source) -> None:
        leader = await advance(source, 3)
        assert await clean(source, leader, retention_s=_HOUR_S) == 0
        assert len(await ids_of(source)) == 3
        assert await clean(source, leader) == 3
        assert await ids_of(source) == set()
        assert await removed(source) == 3

    @pytest.mark.parametrize(
        "recorded_at", ["2026-01-01T10:00:00+00:00", "2026-01-01T12:00:00+02:00"]
    )
    async def test_an_event_is_old_once_more_than_the_retention_has_passed(
        self, source: Source, recorded_at: str
    ) -> None:
        leader = await advance(source, 1)
        await source.database.transact(lambda each: _date(each, 1, recorded_at))
        clock = ManualClock(wall=datetime(2026, 1, 1, 11, tzinfo=UTC))
        cleaner = _cleaner(source, leader, source.database, clock=clock, retention_s=_HOUR_S)
        assert await cleaner.step() == 0
        clock.advance(ms=0.001)
        assert await cleaner.step() == 1

    async def test_nothing_is_looked_for_before_the_first_claim(self, source: Source) -> None:
        await advance(source, 2)
        leader = await leading(source)
        session = _FailingSession(source.database, LostLeaseError("on purpose"))
        cleaning = asyncio.ensure_future(_cleaner(source, leader, session).run())
        done, _ = await asyncio.wait([cleaning], timeout=_MOMENT_S)
        assert not done
        await leader.step()
        with pytest.raises(LostLeaseError):
            await cleaning

    async def test_a_database_that_cannot_be_used_is_tried_again_until_the_lead_is_lost(
        self, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cleaner_module, "_IDLE_INTERVAL_S", 0)
        errors = TransientError("on purpose"), LostLeaseError("on purpose")
        session = _FailingSession(source.database, *errors)
        with pytest.raises(LostLeaseError):
            await _cleaner(source, await advance(source, 1), session).run()
        assert await removed(source) == 0

    @holds(Guarantee.DURABILITY)
    async def test_what_waits_is_not_removed_though_it_is_named_nor_what_follows_it(
        self, source: Source
    ) -> None:
        leader = await leading(source)
        for _ in range(4):
            await source.raise_counter("c1")
        await leader.mark([1, 3])
        assert (await clean_at(source, leader, [1, 2, 3]), await removed(source)) == (1, 1)
        assert await _positions(source) == [2, 3, 4]

    async def test_an_aggregate_of_another_type_with_the_same_id_is_another(
        self, source: Source
    ) -> None:
        leader = await leading(source)
        for _ in range(2):
            await source.raise_counter("c1")
        events = source.tables.events
        other = update(events).where(events.c.position == 1).values(aggregatetype="other")
        await source.database.transact(lambda connection: connection.execute(other).close())
        await leader.mark([2])
        assert await clean_at(source, leader, [2]) == 1

    async def test_what_waits_holds_up_what_is_behind_it(self, source: Source) -> None:
        leader = await leading(source)
        for number in range(4):
            await source.raise_counter(f"c{number}")
        await leader.mark([1, 2, 4])
        cleaner = source.relay().cleaner(leader, source.database, 0)
        assert [await cleaner.step() for _ in range(2)] == [2, 0]
        await leader.step()
        assert await cleaner.step() == 2

    @holds(Guarantee.DURABILITY)
    async def test_what_is_not_published_is_never_removed(self, source: Source) -> None:
        leader = await advance(source, 2)
        await source.raise_counter("waiting")
        assert await clean(source, leader) == 2
        assert len(await ids_of(source)) == 1
        assert await clean(source, leader) == 0
        assert await leader.step() == 1
        assert {event.aggregate_id for event in await source.events()} == {"c0", "c1", "waiting"}

    async def test_an_event_from_a_clock_that_was_ahead_holds_up_none_behind_it(
        self, source: Source
    ) -> None:
        leader = await advance(source, 3)
        await source.database.transact(lambda each: _date(each, 1, "2100-01-01T00:00:00+00:00"))
        assert await clean(source, leader) == 3
        await source.raise_counter("c1")
        await leader.step()
        await source.database.transact(lambda each: _date(each, 4, "2100-01-01T00:00:00+00:00"))
        assert await clean(source, leader) == 0

    async def test_of_an_aggregate_none_is_removed_before_an_earlier_one(
        self, source: Source
    ) -> None:
        """Its transaction took its position early, and was committed late."""
        leader = await advance(source, 3)
        cleaner = source.relay().cleaner(leader, source.database, 0)
        assert await cleaner.step() == 3
        await source.raise_counter("late")
        await source.database.transact(_move_before_all)
        await leader.step()
        await source.raise_counter("late")
        await leader.step()
        assert (await cleaner.step(), await removed(source)) == (0, 3)
        kept = await backup(source)
        await advance(source, 2)
        await restore(source, kept)
        await (await leading(source)).step()
        newest = (await source.watermarks())[-1].timeline
        republished = [
            record.headers["ce_aggregateversion"]
            for record in await source.records(_TOPIC)
            if record.headers[TIMELINE_HEADER] == newest and record.key == "late"
        ]
        assert republished == ["1", "2"]

    async def test_a_batch_is_bounded_and_all_are_removed_in_the_end(
        self, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cleaner_module, "_BATCH_MAX", 2)
        leader = await advance(source, 5)
        cleaner = source.relay().cleaner(leader, source.database, 0)
        assert [await cleaner.step() for _ in range(4)] == [2, 2, 1, 0]
        await source.raise_counter("c1")
        await leader.step()
        assert await cleaner.step() == 1

    async def test_what_becomes_visible_late_is_removed_in_the_next_round(
        self, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cleaner_module, "_IDLE_LOOKS_PER_ROUND", 2)
        leader = await advance(source, 3)
        cleaner = source.relay().cleaner(leader, source.database, 0)
        assert await cleaner.step() == 3
        for _ in range(2):
            await source.raise_counter("late")
            await source.database.transact(_move_before_all)
            await leader.step()
            assert [await cleaner.step() for _ in range(3)] == [0, 0, 1]
        await source.raise_counter("c1")
        await leader.step()
        assert await cleaner.step() == 1

    @holds(Guarantee.FENCING)
    async def test_a_replaced_leader_removes_nothing(self, source: Source, other: Source) -> None:
        old = await advance(source, 2)
        await leading(other)
        with pytest.raises(FencedError):
            await clean(source, old)
        assert (len(await ids_of(source)), await removed(source)) == (2, 0)

    async def test_a_leader_replaced_after_its_look_removes_nothing(
        self, source: Source, other: Source
    ) -> None:
        old = await advance(source, 2)
        session = _ReplacedAfterLook(source, other)
        with pytest.raises(FencedError):
            await source.relay().cleaner(old, session, 0).step()
        assert (len(await ids_of(source)), await removed(source)) == (2, 0)

    async def test_a_relay_removes_beside_its_publishing(self, source: Source) -> None:
        async with running(source.relay(retention_s=0)):
            for number in range(3):
                await source.raise_counter("c1")
                await until(lambda count=number + 1: has_events(source, count))  # type: ignore[misc]
            await until(lambda: _has_removed(source))
        async with running(source.relay(retention_s=0)):
            await source.raise_counter("c1")
            await until(lambda: has_events(source, 4))
            await until(lambda: _has_removed(source))
        assert [event.version for event in await source.events()] == [1, 2, 3, 4]
        assert len(await timelines(source)) == 1

    @holds(Guarantee.WATERMARKS)
    async def test_removing_parts_no_histories(self, source: Source, other: Source) -> None:
        for each in (source, other, source):
            assert await clean(each, await advance(each, 2)) == 2
        await source.lineage().settle()
        assert len(await timelines(source)) == 1
        assert len(await source.events()) == 6

    async def test_what_was_removed_before_it_was_claimed_is_known(
        self, source: Source, other: Source
    ) -> None:
        await advance(source, 1)
        dying = await leading(source, log=_SilentOnceLog(source.log))
        await source.raise_counter("c1")
        with pytest.raises(TransientError):
            await dying.step()
        assert await clean(source, dying) == 2
        await other.lineage().settle()
        await (await leading(other)).step()
        assert len(await timelines(source)) == 1
        assert len(await source.events()) == 2

    @holds(Guarantee.WATERMARKS)
    async def test_a_restored_source_publishes_again_what_was_removed_too(
        self, source: Source
    ) -> None:
        await clean(source, await advance(source, 4))
        await advance(source, 1)
        history = {event.id for event in await source.events()}
        kept = await backup(source)
        await advance(source, 3)
        await restore(source, kept)
        leader = await advance(source, 1)
        await self._has_all_in_order(source, history, added=1)
        assert await removed(source) == 0
        assert await clean(source, leader) == 6

    async def test_a_partition_that_was_first_used_after_the_backup_is_no_obstacle(
        self, source: Source
    ) -> None:
        await clean(source, await advance(source, 4))
        kept = await backup(source)
        used = {record.partition for record in await source.records(_TOPIC)}
        leader = await leading(source)
        for number in range(20):
            await source.raise_counter(f"new {number}")
        await leader.step()
        assert {record.partition for record in await source.records(_TOPIC)} > used
        await restore(source, kept)
        await (await leading(source)).step()
        assert await removed(source) == 0

    async def test_a_source_may_be_restored_again_and_again(self, source: Source) -> None:
        history: set[str] = set()
        for _ in range(3):
            leader = await advance(source, 3)
            history = await ids_of(source) if not history else history | await ids_of(source)
            kept = await backup(source)
            await clean(source, leader)
            removing = await backup(source)
            await advance(source, 1)
            await restore(source, removing)
            assert kept != removing
            await (await leading(source)).step()
            await self._has_all_in_order(source, history)

    async def test_a_source_restored_to_before_another_parting_publishes_all_of_it_again(
        self, source: Source
    ) -> None:
        await clean(source, await advance(source, 4))
        await advance(source, 1)
        history = {event.id for event in await source.events()}
        kept = await backup(source)
        await advance(source, 2)
        for _ in range(2):
            await restore(source, kept)
            await (await leading(source)).step()
            await self._has_all_in_order(source, history)
        assert len(await timelines(source)) == 3

    @holds(Guarantee.WATERMARKS)
    async def test_a_lost_log_halts_a_source_that_has_removed_until_it_is_put_back(
        self, source: Source, tmp_path: Path
    ) -> None:
        await clean(source, await advance(source, 3))
        await advance(source, 1)
        log, source.log = source.log, await new_log(tmp_path / "another log")
        for _ in range(2):
            with pytest.raises(HistoryRemovedError, match="3 events") as raised:
                await source.relay().run()
            assert raised.value.code == "HISTORY_REMOVED"
        assert (await source.events(), await source.announced()) == ([], [])
        await source.log.close()
        source.log = log
        await advance(source, 1)
        assert len(await timelines(source)) == 1
        assert len(await source.events()) == 5

    async def test_a_log_put_back_to_a_backup_that_has_all_that_was_removed_will_do(
        self, source: Source, tmp_path: Path
    ) -> None:
        await clean(source, await advance(source, 3))
        records = await _all_records(source)
        await advance(source, 2)
        history = {event.id for event in await source.events()}
        await self._put_back(source, tmp_path, records)
        await (await leading(source)).step()
        await self._has_all_in_order(source, history)
        await source.log.close()

    @holds(Guarantee.WATERMARKS)
    async def test_a_log_that_lacks_one_of_what_was_removed_halts_the_source(
        self, source: Source, tmp_path: Path
    ) -> None:
        leader = await advance(source, 3)
        records = await _all_records(source)
        await source.raise_counter("c1")
        await leader.step()
        await clean(source, leader)
        await self._put_back(source, tmp_path, records)
        kept = await backup(source)
        with pytest.raises(HistoryRemovedError, match="has 3 events"):
            await leading(source)
        assert await ids_of(source) == set()
        assert await removed(source) == 4
        assert (await backup(source))[counting.counters] == kept[counting.counters]
        assert len(await source.announced()) == len([each for each in records if not each.headers])
        await source.log.close()

    async def test_what_a_failed_attempt_has_gathered_is_thrown_away(
        self, source: Source, tmp_path: Path
    ) -> None:
        await clean(source, await advance(source, 4))
        first, *others = await _all_records(source)
        await advance(source, 1)
        history = {event.id for event in await source.events()}
        await self._put_back(source, tmp_path / "without the first", others)
        with pytest.raises(HistoryRemovedError, match="has 3 events"):
            await leading(source)
        await source.log.close()
        await self._put_back(source, tmp_path / "with all", [first, *others])
        await (await leading(source)).step()
        await self._has_all_in_order(source, history)
        await source.log.close()

    @holds(Guarantee.WATERMARKS)
    async def test_a_log_with_other_events_than_were_removed_halts_the_source(
        self, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(refill_module, "_AT_ONCE_MAX", 1)
        await clean(source, await advance(source, 2))
        await advance(source, 1)
        records = await _all_records(source)
        await advance(source, 1)
        source.log = await new_log(tmp_path / "another log")
        await source.log.append([_forged(record) for record in records])
        with pytest.raises(HistoryRemovedError, match="other events than were removed"):
            await leading(source)
        assert await removed(source) == 2
        assert len(await ids_of(source)) == 2
        await source.log.close()

    async def test_what_the_log_has_twice_is_taken_back_once(
        self, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading_module, "_BATCH_MAX", 1)
        await source.raise_counter("c1")
        with pytest.raises(TransientError):
            await (await leading(source, log=DyingLog(source.log))).step()
        history = await _part(source)
        assert len(history) == len(await source.events()) - 3, "one is twice, and two are lost"
        await (await leading(source)).step()
        await self._has_all_in_order(source, history)

    @holds(Guarantee.WATERMARKS)
    async def test_a_log_with_more_than_was_removed_halts_the_source(self, source: Source) -> None:
        """Somebody has deleted a row, or the count was put back alone."""
        await _part(source)
        before = await ids_of(source)
        await source.database.transact(_count_one_less)
        with pytest.raises(HistoryRemovedError, match="has 4 events"):
            await leading(source)
        assert (await removed(source), await ids_of(source)) == (3, before)

    async def test_history_is_taken_back_piece_by_piece_and_in_order(
        self, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(refill_module, "_AT_ONCE_MAX", 3)
        history = await _part(source)
        session = _CountingPieces(source.database)
        await source.leader(session=session).take_lead()
        assert session.missing == [4, 1, 0]
        assert await _positions(source) == [-3, -2, -1, 0, 5]
        await (await leading(source)).step()
        await self._has_all_in_order(source, history)

    @pytest.mark.parametrize("pieces", [1, 2, 3])
    async def test_death_between_two_pieces_leaves_the_others_to_the_successor(
        self, source: Source, other: Source, pieces: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(refill_module, "_AT_ONCE_MAX", 1)
        history = await _part(source)
        with pytest.raises(TransientError):
            await source.leader(session=_DyingBetweenPieces(source.database, pieces)).take_lead()
        assert (await removed(source), len(await timelines(source))) == (4 - pieces, 1)
        assert await source.unpublished() == 0
        with pytest.raises(HistoryRemovedError):
            await other.lineage().settle()
        await (await leading(other)).step()
        assert await removed(source) == 0
        await self._has_all_in_order(source, history)

    async def test_death_while_history_is_taken_back_leaves_that_to_the_successor(
        self, source: Source, other: Source
    ) -> None:
        history = await _part(source)
        with pytest.raises(TransientError):
            await source.leader(session=_DyingBeforePutBack(source.database)).take_lead()
        assert (await removed(source), len(await timelines(source))) == (4, 1)
        await (await leading(other)).step()
        await self._has_all_in_order(source, history)

    async def test_death_after_history_was_taken_back_leaves_the_timeline_to_the_successor(
        self, source: Source, other: Source
    ) -> None:
        history = await _part(source)
        with pytest.raises(TransientError):
            await source.leader(session=_DyingAfterPutBack(source.database)).take_lead()
        assert (await removed(source), len(await timelines(source))) == (0, 1)
        await (await leading(other)).step()
        await self._has_all_in_order(source, history)

    @holds(Guarantee.FENCING)
    async def test_a_replaced_leader_takes_nothing_back(
        self, source: Source, other: Source
    ) -> None:
        await _part(source)
        with pytest.raises(FencedError):
            await leading(source, log=_OvertakenLog(source.log, other))
        assert await removed(source) == 4

    async def test_a_service_that_looks_leaves_history_to_the_relay_and_serves_nobody(
        self, source: Source, other: Source
    ) -> None:
        history = await _part(source)
        tick = await source.tick()
        with pytest.raises(HistoryRemovedError):
            await other.lineage().settle()
        assert await source.tick() == tick
        await (await leading(source)).step()
        await other.lineage().settle()
        await self._has_all_in_order(source, history)

    async def test_a_late_duplicate_of_what_was_removed_costs_a_timeline_and_no_event(
        self, source: Source, other: Source
    ) -> None:
        """A replaced relay says again, much later, what nobody claims before the next one looks."""
        await source.raise_counter("c1")
        late = await leading(source, log=DyingLog(source.log))
        with pytest.raises(TransientError):
            await late.step()
        await clean(other, await advance(other, 2))
        history = {event.id for event in await source.events()}
        [first, *_] = [each for each in await source.records(_TOPIC) if each.key == "c1"]
        await source.log.append([as_new(first)])
        await (await leading(other)).step()
        await self._has_all_in_order(source, history)

    async def test_a_late_duplicate_of_what_was_removed_costs_nothing_once_a_tick_remembers_it(
        self, source: Source, other: Source
    ) -> None:
        await clean(other, await advance(other, 2))
        leader = await leading(other)
        [first, *_] = [each for each in await source.records(_TOPIC) if each.key == "c1"]
        await source.log.append([as_new(first)])
        await leader.step()  # claims what the log has
        await leader.raise_tick()  # and remembers it
        await (await leading(source)).step()
        assert len(await timelines(source)) == 1

    async def _has_all_in_order(
        self, source: Source, history: Collection[str], *, added: int = 0
    ) -> None:
        """Whoever folds the newest timeline gets the whole history, each aggregate's in order."""
        newest = (await source.watermarks())[-1]
        found = await ids_in(source, newest)
        assert found >= set(history)
        assert len(found) == len(history) + added
        versions = defaultdict[str, list[str]](list)
        for record in await source.records(_TOPIC):
            if record.headers[TIMELINE_HEADER] == newest.timeline:
                versions[record.key].append(record.headers["ce_aggregateversion"])
        for counted in versions.values():
            assert counted == [str(number + 1) for number in range(len(counted))]

    async def _put_back(self, source: Source, directory: Path, records: Sequence[Record]) -> None:
        source.log = await new_log(directory / "another log")
        await source.log.append([as_new(record) for record in records])


class _ReplacedAfterLook(SessionAround):
    """Lets another relay take the lead after each read."""

    def __init__(self, source: Source, other: Source) -> None:
        super().__init__(source.database)
        self._other = other

    async def read(self, work: Callable[[Connection], T]) -> T:
        found = await super().read(work)
        await leading(self._other)
        return found


class _SilentOnceLog(LogAround):
    """Takes events and no watermark."""

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        if records[0].topic == WATERMARKS.name:
            raise TransientError("the connection broke before the append")
        return await super().append(records)


class _OvertakenLog(LogAround):
    """Lets another relay take the lead when history is read from its beginning."""

    def __init__(self, log: EventLog, other: Source) -> None:
        super().__init__(log)
        self._other: Source | None = other

    async def subscribe(self, topics: Sequence[str], *, group: str | None) -> Subscription:
        if self._other is not None and topics == [_TOPIC]:
            other, self._other = self._other, None
            await other.database.transact(
                lambda connection: take_epoch(connection, counting.tables.tick)
            )
        return await super().subscribe(topics, group=group)


class _DyingBeforePutBack(SessionAround):
    """Dies in the transaction that would say that history is whole again."""

    async def transact(self, work: Callable[[Connection], T]) -> T:
        def dying(connection: Connection) -> T:
            before = _removed_in(connection)
            outcome = work(connection)
            if before and not _removed_in(connection):
                raise TransientError("the connection broke before the commit")
            return outcome

        return await super().transact(dying)


class _FailingSession(SessionAround):
    """Fails at its reads, one after another."""

    def __init__(self, session: Session, *errors: Exception) -> None:
        super().__init__(session)
        self._errors = iter(errors)

    async def read(self, work: Callable[[Connection], T]) -> T:
        raise next(self._errors)


class _CountingPieces(SessionAround):
    """Notes how many events are missing whenever that has changed."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.missing: list[int] = []

    async def transact(self, work: Callable[[Connection], T]) -> T:
        outcome = await super().transact(work)
        missing = await self.read(_removed_in)
        if self.missing[-1:] != [missing]:
            self.missing.append(missing)
        return outcome


class _DyingBetweenPieces(_CountingPieces):
    """Dies when so many pieces have been put back."""

    def __init__(self, session: Session, pieces: int) -> None:
        super().__init__(session)
        self._pieces = pieces

    async def transact(self, work: Callable[[Connection], T]) -> T:
        outcome = await super().transact(work)
        if len(self.missing) > self._pieces:
            raise TransientError("the connection broke between two transactions")
        return outcome


class _DyingAfterPutBack(SessionAround):
    """Dies when history is whole again, and nobody has heard of it."""

    async def transact(self, work: Callable[[Connection], T]) -> T:
        before = await self.read(_removed_in)
        outcome = await super().transact(work)
        if before and not await self.read(_removed_in):
            raise TransientError("the connection broke after the commit")
        return outcome


async def clean(source: Source, leader: Leader, *, retention_s: float = 0) -> int:
    """Remove what is older, and return how many events that were."""
    return await source.relay().cleaner(leader, source.database, retention_s).step()


async def clean_at(source: Source, leader: Leader, positions: Sequence[int]) -> int:
    """Remove those of these events that may be removed, and return how many that were."""
    return await source.database.transact(lambda connection: leader.remove(connection, positions))


def _cleaner(
    source: Source,
    leader: Leader,
    session: Session,
    *,
    clock: Clock | None = None,
    retention_s: float = 0,
) -> Cleaner:
    return Cleaner(
        counting.SOURCE,
        tables=source.tables,
        session=session,
        leader=leader,
        clock=clock or SystemClock(),
        retention_s=retention_s,
    )


async def removed(source: Source) -> int:
    """Return how many events the source knows to be missing from its table."""
    return await source.database.read(_removed_in)


def _removed_in(connection: Connection) -> int:
    assert counting.tables.removal is not None
    return count_removed(connection, counting.tables.removal.removed)


def _count_one_less(connection: Connection) -> None:
    assert counting.tables.removal is not None
    count_put_back(connection, counting.tables.removal.removed, 1)


async def _positions(source: Source) -> list[int]:
    positions = select(source.tables.events.c.position).order_by(source.tables.events.c.position)
    return await source.database.read(
        lambda connection: list(connection.execute(positions).scalars())
    )


def _move_before_all(connection: Connection) -> None:
    """Give the only row that waits a position before those that were removed."""
    events = counting.tables.events
    connection.execute(update(events).where(events.c.published == false()).values(position=-2))


def _date(connection: Connection, position: int, recorded_at: str) -> None:
    events = counting.tables.events
    dated = update(events).where(events.c.position == position).values(recorded_at=recorded_at)
    connection.execute(dated)


async def _part(source: Source) -> set[str]:
    """Put a source that has removed events back behind what the log has; return its history."""
    await clean(source, await advance(source, 4))
    await advance(source, 1)
    history = {event.id for event in await source.events()}
    kept = await backup(source)
    await advance(source, 2)
    await restore(source, kept)
    return history


def _forged(record: Record) -> NewRecord:
    """Put another event in the place of the second of c0, and none in that of the first."""
    if record.key == "c0" and record.headers["ce_aggregateversion"] == "1":
        return as_new(record, **{ID_HEADER: "another", "ce_aggregateversion": "2"})
    return as_new(record)


async def _has_removed(source: Source) -> bool:
    return not await ids_of(source)


async def _all_records(source: Source) -> list[Record]:
    return [*await source.records(_TOPIC), *await source.records(WATERMARKS.name)]
