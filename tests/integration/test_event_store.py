"""The event store on each kind of database: streams without gaps, and all events in their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData

from contracts.events import event_types
from contracts.events.orders import ORDER, CreditAgreed, OrderApproved, OrderShipped, StockAgreed
from slackwater.database.port import Database
from slackwater.database.sqlite import SqliteDatabase
from slackwater.errors import WrongVersionError
from slackwater.event_store import event_store
from slackwater.event_store.event_store import EventStore, UnorderedPositionsError
from slackwater.events.event import Cause, EventBody
from slackwater.outbox.relay import outbox_bell
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.testing.doorbell import LocalDoorbell
from tests.integration.service_bench import OpenDatabase

START = datetime(2026, 1, 1, tzinfo=UTC)


class Store:
    """An event store of orders with its database."""

    def __init__(self, database: Database, streams: type[EventStore] = EventStore) -> None:
        metadata = MetaData()
        self.tables = KernelTables(metadata, events="events")
        self.streams = streams(self.tables, event_types, "orders", aggregate_type=ORDER)
        self.database = database
        self.create_all = metadata.create_all

    async def append(
        self, stream: str, expected: int, bodies: Sequence[EventBody], at: datetime = START
    ) -> int:
        """Append events; return the version that the stream has reached by them."""
        appended = await self.database.transact(
            lambda connection: self.streams.append(
                self._unit(connection, at), stream, expected, bodies, "customer-1"
            )
        )
        return appended[-1].event.version

    async def load(self, stream: str, **bounds: object) -> list[int]:
        """Return the versions of a stream."""
        history = await self.database.read(
            lambda connection: self.streams.load(connection, stream, **bounds)  # type: ignore[arg-type]
        )
        return [recorded.event.version for recorded in history]

    def _unit(self, connection: Connection, at: datetime) -> UnitOfWork:
        return UnitOfWork(
            connection,
            source="orders",
            tables=self.tables,
            event_types=event_types,
            cause=Cause.start(),
            now=at,
        )


class OvertakenStore(EventStore):
    """Looks before another writer appends, as a database with concurrent writers can."""

    def version(self, connection: Connection, stream_id: str) -> int:
        return 0


@pytest.fixture
async def store(open_database: OpenDatabase) -> AsyncIterator[Store]:
    store = Store(open_database("orders"))
    await store.database.transact(store.create_all)
    yield store
    await store.database.close()


@pytest.fixture
async def ordered_store(tmp_path: Path) -> AsyncIterator[Store]:
    """A store on a database whose positions can be followed."""
    store = Store(SqliteDatabase(tmp_path / "events.sqlite"))
    await store.database.transact(store.create_all)
    yield store
    await store.database.close()


async def test_versions_count_from_one_without_a_gap(store: Store) -> None:
    assert await store.append("a", 0, [CreditAgreed(), StockAgreed()]) == 2
    assert await store.append("b", 0, [CreditAgreed()]) == 1
    assert await store.append("a", 2, [OrderApproved()]) == 3
    assert await store.load("a") == [1, 2, 3]
    assert await store.load("unknown") == []


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_an_append_to_another_version_is_refused(store: Store, expected: int) -> None:
    await store.append("a", 0, [CreditAgreed(), StockAgreed()])
    with pytest.raises(WrongVersionError) as refused:
        await store.append("a", expected, [OrderApproved()])
    assert (refused.value.expected, refused.value.actual) == (expected, 2)
    assert await store.load("a") == [1, 2]


async def test_an_append_that_was_overtaken_is_refused_too(store: Store) -> None:
    store = Store(store.database, OvertakenStore)
    await store.append("a", 0, [CreditAgreed()])
    with pytest.raises(WrongVersionError):
        await store.append("a", 0, [CreditAgreed()])
    assert await store.load("a") == [1]


async def test_of_appends_to_one_version_exactly_one_is_taken(
    store: Store, open_database: OpenDatabase
) -> None:
    other = Store(open_database("orders"))
    for expected in range(5):
        outcomes = await asyncio.gather(
            *(
                each.append("a", expected, [CreditAgreed()])
                for _ in range(3)
                for each in (store, other)
            ),
            return_exceptions=True,
        )
        assert [each for each in outcomes if isinstance(each, int)] == [expected + 1]
        assert sum(isinstance(each, WrongVersionError) for each in outcomes) == 5
    assert await store.load("a") == [1, 2, 3, 4, 5]
    await other.database.close()


async def test_a_stream_can_be_loaded_as_it_was(store: Store) -> None:
    for version, body in enumerate([CreditAgreed(), OrderApproved(), OrderShipped()]):
        await store.append("a", version, [body], START + timedelta(seconds=version))
    assert await store.load("a", as_of=START - timedelta(microseconds=1)) == []
    assert await store.load("a", as_of=START + timedelta(seconds=1)) == [1, 2]
    assert await store.load("a", up_to_version=2) == [1, 2]


async def test_a_clock_set_back_tears_no_hole_into_the_past(store: Store) -> None:
    for version, second in enumerate([0, 5, 2]):
        await store.append("a", version, [CreditAgreed()], START + timedelta(seconds=second))
    assert await store.load("a", as_of=START + timedelta(seconds=3)) == [1]


async def test_all_events_are_read_in_the_order_of_their_commits(ordered_store: Store) -> None:
    for version in range(3):
        for stream in ("b", "a"):
            await ordered_store.append(stream, version, [CreditAgreed()])
    seen: list[tuple[str, int]] = []
    position = 0
    while batch := await ordered_store.database.read(
        lambda connection, after=position: ordered_store.streams.read_all(  # type: ignore[misc]
            connection, after_position=after, limit=4
        )
    ):
        seen += [(one.recorded.event.aggregate_id, one.recorded.event.version) for one in batch]
        position = batch[-1].position
    assert seen == [("b", 1), ("a", 1), ("b", 2), ("a", 2), ("b", 3), ("a", 3)]


@pytest.mark.parametrize("rings", [True, False])
async def test_a_subscriber_catches_up_and_then_hears_what_is_new(
    ordered_store: Store, monkeypatch: pytest.MonkeyPatch, rings: bool
) -> None:
    monkeypatch.setattr(event_store, "_BATCH_MAX", 2)
    doorbell = LocalDoorbell()
    await ordered_store.append("a", 0, [CreditAgreed()] * 5)
    subscription = ordered_store.streams.subscribe(
        ordered_store.database, doorbell, after_position=1
    )
    async with asyncio.timeout(10), aclosing(subscription) as events:
        caught_up = [(await anext(events)).recorded.event.version for _ in range(4)]
        following = asyncio.ensure_future(anext(events))
        await ordered_store.append("a", 5, [OrderApproved()])
        if rings:
            doorbell.ring(outbox_bell("orders"))
        live = await following
    assert caught_up == [2, 3, 4, 5]
    assert (live.position, live.recorded.event.version) == (6, 6)


async def test_streams_are_listed_in_pages(store: Store) -> None:
    for stream in ("c", "a", "b"):
        await store.append(stream, 0, [CreditAgreed(), StockAgreed()])
    first = await store.database.read(
        lambda connection: store.streams.stream_ids(connection, after="", limit=2)
    )
    rest = await store.database.read(
        lambda connection: store.streams.stream_ids(connection, after="b", limit=2)
    )
    assert (first, rest) == (["a", "b"], ["c"])


@pytest.mark.engine("postgresql")
async def test_positions_that_could_show_up_late_are_not_followed(
    open_postgresql: OpenDatabase,
) -> None:
    store = Store(open_postgresql("orders"))
    await store.database.transact(store.create_all)
    with pytest.raises(UnorderedPositionsError, match="follow the event log"):
        await store.database.read(
            lambda connection: store.streams.read_all(connection, after_position=0, limit=1)
        )
    await store.database.close()
