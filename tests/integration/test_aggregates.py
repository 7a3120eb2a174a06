"""Aggregates on each kind of database: found from snapshots, and decided on until it is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import pytest
from sqlalchemy import Connection, delete, func, insert, select, update

from slackwater.database.port import Database
from slackwater.errors import UnknownOutcomeError, WrongVersionError
from slackwater.event_store.aggregates import Aggregates
from slackwater.event_store.decision import Decided, decide
from slackwater.event_store.snapshots import Snapshots
from slackwater.events.event import Cause, Recorded
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.testing import counting
from slackwater.testing.counter_streams import (
    SNAPSHOT_EVERY,
    Count,
    apply,
    counts,
    metadata,
    streams,
    tables,
)
from slackwater.testing.counting import CounterRaised
from tests.integration.service_bench import OpenDatabase
from tests.unordered import reversing_unordered

T = TypeVar("T")

START = datetime(2026, 1, 1, tzinfo=UTC)


class Counters:
    """Counters as streams on a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def raise_often(self, times: int, *, seconds: Sequence[int] = (0,)) -> None:
        """Raise the counter `c` in one append after another, at times that may go back."""
        for number in range(times):
            at = START + timedelta(seconds=seconds[number % len(seconds)])
            await self.transact(lambda connection, at=at: self._raise(connection, 1, at))  # type: ignore[misc]

    async def raise_at_once(self, times: int) -> None:
        await self.transact(lambda connection: self._raise(connection, times, START))

    async def find(self, of: Aggregates[Any] = counts, **bounds: Any) -> Any:
        return await self.database.read(lambda connection: of.find(connection, "c", **bounds))

    async def count_snapshots(self) -> int:
        count = select(func.count()).select_from(tables.snapshot)
        return await self.database.read(lambda connection: connection.execute(count).scalar_one())

    async def transact(self, work: Callable[[Connection], T]) -> T:
        return await self.database.transact(work)

    async def execute(self, statement: Any) -> None:
        await self.transact(lambda connection: connection.execute(statement).close())

    async def decide(
        self, decision: Callable[[Count | None], list[CounterRaised]], **options: Any
    ) -> Decided[Count]:
        session = options.pop("session", self.database)
        return await decide(
            session, counts, "c", decision, begin=_unit, partition_key="c", **options
        )

    def _raise(self, connection: Connection, times: int, at: datetime) -> None:
        loaded = counts.load(connection, "c")
        raised = [CounterRaised(value=loaded.version + 1 + number) for number in range(times)]
        counts.append(_unit(connection, at), "c", loaded, raised, "c")


@pytest.fixture
async def counters(open_database: OpenDatabase) -> AsyncIterator[Counters]:
    counters = Counters(reversing_unordered(open_database("counting")))
    await counters.transact(metadata.create_all)
    yield counters
    await counters.database.close()


async def test_a_found_aggregate_is_what_all_its_events_make(counters: Counters) -> None:
    assert await counters.find() is None
    for raised in range(1, 3 * SNAPSHOT_EVERY):
        await counters.raise_often(1)
        assert await counters.find() == Count(raised, raised * (raised + 1) // 2)
    assert await counters.count_snapshots() == 2


async def test_no_more_than_what_lies_behind_the_newest_snapshot_is_replayed(
    counters: Counters,
) -> None:
    replayed: list[int] = []

    def noting(count: Count | None, recorded: Recorded[Any]) -> Count:
        replayed.append(recorded.event.version)
        return apply(count, recorded)

    noted = Aggregates(
        streams, Snapshots(streams, Count, schema_version=1), apply=noting, every=SNAPSHOT_EVERY
    )
    await counters.raise_often(2 * SNAPSHOT_EVERY + 3)
    assert await counters.find(noted) == await counters.find()
    assert replayed == [9, 10, 11]
    replayed.clear()
    await counters.raise_often(SNAPSHOT_EVERY)
    await counters.find(noted, up_to_version=11)
    assert replayed == [9, 10, 11]


async def test_an_append_of_many_events_takes_one_snapshot_of_its_end(counters: Counters) -> None:
    await counters.raise_at_once(3 * SNAPSHOT_EVERY + 1)
    assert await counters.count_snapshots() == 1
    assert await counters.find() == Count(13, 91)


async def test_an_aggregate_as_it_was_is_the_same_with_snapshots_and_without(
    counters: Counters,
) -> None:
    seconds = [0, 1, 5, 3, 2, 6, 7, 4, 9, 8]  # a clock that is set back, and time and again
    await counters.raise_often(30, seconds=seconds)
    moments = [START + timedelta(seconds=second) for second in range(-1, 11)]
    with_snapshots = [await counters.find(as_of=moment) for moment in moments]
    versions = [await counters.find(up_to_version=version) for version in range(32)]
    assert await counters.count_snapshots() == 30 // SNAPSHOT_EVERY
    await counters.execute(delete(tables.snapshot))
    assert with_snapshots == [await counters.find(as_of=moment) for moment in moments]
    assert versions == [await counters.find(up_to_version=version) for version in range(32)]
    assert with_snapshots[0] is None
    assert with_snapshots[1] == Count(1, 1)


class Total(msgspec.Struct, frozen=True):
    """Another state of the same events, with a field that had another meaning before."""

    total: int


def add(total: Total | None, recorded: Recorded[Any]) -> Total:
    return Total((total.total if total else 0) + 2 * recorded.body.value)


async def test_snapshots_of_an_older_schema_are_ignored_and_replaced(counters: Counters) -> None:
    await counters.raise_often(2 * SNAPSHOT_EVERY)
    newer = Aggregates(
        streams, Snapshots(streams, Total, schema_version=2), apply=add, every=SNAPSHOT_EVERY
    )
    assert await counters.find(newer) == Total(72)

    def raise_on(connection: Connection) -> None:
        loaded = newer.load(connection, "c")
        raised = [CounterRaised(value=1)] * SNAPSHOT_EVERY
        newer.append(_unit(connection), "c", loaded, raised, "c")

    await counters.transact(raise_on)
    assert await counters.count_snapshots() == 1
    assert await counters.find(newer) == Total(80)
    assert await counters.find() == Count(12, 40)


async def test_a_snapshot_that_cannot_be_decoded_counts_as_none(counters: Counters) -> None:
    await counters.raise_often(SNAPSHOT_EVERY + 1)
    await counters.execute(update(tables.snapshot).values(state=b"{"))
    assert await counters.find() == Count(5, 15)


async def test_a_snapshot_ahead_of_its_stream_is_not_used_and_is_replaced(
    counters: Counters,
) -> None:
    await counters.raise_often(3)
    ahead = {
        "aggregatetype": counting.COUNTER,
        "aggregateid": "c",
        "schemaversion": 1,
        "version": 8,
        "eventid": "of a lost event",
        "latest_us": 0,
        "state": b'{"raised":8,"total":36}',
    }
    await counters.execute(insert(tables.snapshot).values(ahead))
    assert await counters.find() == Count(3, 6)
    await counters.raise_often(2 * SNAPSHOT_EVERY)
    assert await counters.find() == Count(11, 66)
    assert await counters.find(up_to_version=9) == Count(9, 45)


async def test_a_snapshot_of_another_history_is_not_used(counters: Counters) -> None:
    await counters.raise_often(SNAPSHOT_EVERY + 1)
    lost = {"eventid": "of a lost event", "state": b'{"raised":9,"total":9}'}
    await counters.execute(update(tables.snapshot).values(lost))
    assert await counters.find() == Count(5, 15)
    assert await counters.find(up_to_version=4) == Count(4, 10)


async def test_an_append_that_is_rolled_back_leaves_no_snapshot(counters: Counters) -> None:
    def fails(connection: Connection) -> None:
        counters._raise(connection, SNAPSHOT_EVERY, START)
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        await counters.transact(fails)
    assert await counters.count_snapshots() == 0
    assert await counters.find() is None


async def test_many_are_found_with_snapshots_and_without(counters: Counters) -> None:
    def raise_all(connection: Connection) -> None:
        for number in range(1, 4):
            raised = [CounterRaised(value=1)] * (3 * number)
            loaded = counts.load(connection, f"c{number}")
            counts.append(_unit(connection), f"c{number}", loaded, raised, "c")

    await counters.transact(raise_all)
    found = await counters.database.read(
        lambda connection: counts.find_many(connection, ["c3", "unknown", "c1", "c2"])
    )
    assert found == {"c1": Count(3, 3), "c2": Count(6, 6), "c3": Count(9, 9)}


async def test_deciders_at_once_each_decide_on_what_the_others_left(
    counters: Counters, open_database: OpenDatabase
) -> None:
    def raise_once(count: Count | None) -> list[CounterRaised]:
        return [CounterRaised(value=(count.raised if count else 0) + 1)]

    other = Counters(open_database("counting"))
    await asyncio.gather(
        *(each.decide(raise_once, tries_max=30) for _ in range(8) for each in (counters, other))
    )
    assert await counters.find() == Count(16, 136)
    await other.database.close()


async def test_a_decision_for_nothing_stores_nothing(counters: Counters) -> None:
    assert await counters.decide(lambda _: []) == Decided(None, has_changed=False)


class LosingSession:
    """Commits, and loses the answer, so many times."""

    def __init__(self, database: Database, times: int) -> None:
        self._database = database
        self._left = times

    async def transact(self, work: Callable[[Connection], T]) -> T:
        outcome = await self._database.transact(work)
        if self._left:
            self._left -= 1
            raise UnknownOutcomeError("the answer was lost; look")
        return outcome

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._database.read(work)


async def test_a_decision_whose_answer_was_lost_is_stored_once(counters: Counters) -> None:
    asked: list[Count | None] = []

    def raise_twice(count: Count | None) -> list[CounterRaised]:
        asked.append(count)
        return [CounterRaised(value=1), CounterRaised(value=2)]

    lossy = LosingSession(counters.database, times=3)
    decided = await counters.decide(raise_twice, session=lossy)
    assert decided == Decided(Count(2, 3), has_changed=True)
    assert asked == [None]
    assert await counters.find() == Count(2, 3)


class OvertakenSession:
    """Lets another writer be faster at every try."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self.tries = 0

    async def transact(self, work: Callable[[Connection], T]) -> T:
        self.tries += 1
        await self._counters.raise_often(1)
        raise WrongVersionError("c", self.tries - 1, self.tries)

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._counters.database.read(work)


async def test_who_is_overtaken_every_time_gives_up_with_the_conflict(counters: Counters) -> None:
    overtaken = OvertakenSession(counters)
    with pytest.raises(WrongVersionError, match="decide again"):
        await counters.decide(lambda _: [CounterRaised(value=1)], session=overtaken, tries_max=3)
    assert overtaken.tries == 3


def _unit(connection: Connection, at: datetime = START) -> UnitOfWork:
    return UnitOfWork(
        connection,
        source=counting.SOURCE,
        tables=tables,
        event_types=counting.event_types,
        cause=Cause.start(),
        now=at,
    )
