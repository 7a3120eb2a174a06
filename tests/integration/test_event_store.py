"""The event store on each kind of database: streams without gaps, appended to once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, MetaData

from contracts.events import event_types
from contracts.events.orders import ORDER, CreditAgreed, OrderApproved, OrderShipped, StockAgreed
from slackwater.database.port import Database
from slackwater.errors import WrongVersionError
from slackwater.event_store.event_store import (
    Appended,
    EventStore,
    ReusedEventIdError,
    WrongPartitionKeyError,
)
from slackwater.event_store.tables import EventStoreTables
from slackwater.events.event import Cause, EventBody
from slackwater.outbox.unit_of_work import UnitOfWork
from tests.integration.service_bench import OpenDatabase
from tests.unordered import reversing_unordered

START = datetime(2026, 1, 1, tzinfo=UTC)

Append = Callable[..., Awaitable[object]]


class Store:
    """An event store of orders with its database."""

    def __init__(self, database: Database, streams: type[EventStore] = EventStore) -> None:
        metadata = MetaData()
        self.tables = EventStoreTables(metadata, events="events")
        self.streams = streams(self.tables, event_types, "orders", aggregate_type=ORDER)
        self.database = database
        self.create_all = metadata.create_all

    async def append(
        self,
        stream: str,
        expected: int,
        bodies: Sequence[EventBody],
        at: datetime = START,
        ids: Sequence[str] | None = None,
    ) -> int:
        """Append events; return the version that the stream has reached by them."""
        appended = await self.database.transact(
            lambda connection: self.streams.append(
                self._unit(connection, at), stream, expected, bodies, "customer-1", event_ids=ids
            )
        )
        return appended[-1].event.version

    async def append_once(
        self,
        stream: str,
        expected: int,
        bodies: Sequence[EventBody],
        ids: Sequence[str],
        key: str = "customer-1",
    ) -> Appended:
        return await self.database.transact(
            lambda connection: self.streams.append_once(
                self._unit(connection, START), stream, expected, bodies, key, event_ids=ids
            )
        )

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

    def _newest(self, connection: Connection, stream_id: str) -> None:
        return None


@pytest.fixture
async def store(open_database: OpenDatabase) -> AsyncIterator[Store]:
    store = Store(reversing_unordered(open_database("orders")))
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


async def test_several_streams_are_loaded_each_in_version_order(store: Store) -> None:
    for stream in ("b", "a"):
        await store.append(stream, 0, [CreditAgreed(), StockAgreed()])
        await store.append(stream, 2, [OrderApproved()])
    loaded = await store.database.read(
        lambda connection: store.streams.load_many(connection, ["b", "unknown", "a"])
    )
    versions = {
        stream: [recorded.event.version for recorded in history]
        for stream, history in loaded.items()
    }
    assert versions == {"a": [1, 2, 3], "b": [1, 2, 3]}


async def test_an_append_that_is_repeated_with_its_ids_is_recognised(store: Store) -> None:
    bodies, ids = [CreditAgreed(), StockAgreed()], ["id-1", "id-2"]
    first = await store.append_once("a", 0, bodies, ids)
    await store.append("a", 2, [OrderApproved()])
    again = await store.append_once("a", 0, bodies, ids)
    assert (first.is_repeat, again.is_repeat) == (False, True)
    assert again.events == first.events
    assert await store.load("a") == [1, 2, 3]


@pytest.mark.parametrize(
    ("stream", "bodies", "ids", "key"),
    [
        ("b", [CreditAgreed(), StockAgreed()], ["id-1", "id-2"], "customer-1"),
        ("a", [StockAgreed(), CreditAgreed()], ["id-1", "id-2"], "customer-1"),
        ("a", [CreditAgreed(), OrderApproved()], ["id-1", "id-3"], "customer-1"),
        ("a", [CreditAgreed(), StockAgreed()], ["id-2", "id-1"], "customer-1"),
        ("a", [CreditAgreed(), StockAgreed()], ["id-1", "id-2"], "customer-2"),
    ],
    ids=["another stream", "other events", "one id of two", "another order", "another key"],
)
async def test_an_id_that_stands_for_another_event_is_refused(
    store: Store, stream: str, bodies: Sequence[EventBody], ids: Sequence[str], key: str
) -> None:
    await store.append_once("a", 0, [CreditAgreed(), StockAgreed()], ["id-1", "id-2"])
    with pytest.raises(ReusedEventIdError, match="new id"):
        await store.append_once(stream, 0, bodies, ids, key)
    assert await store.load("a") == [1, 2]


async def test_repeated_events_come_in_the_order_of_their_versions(store: Store) -> None:
    """Whatever the order of their rows, and of their ids."""
    bodies, ids = [CreditAgreed(), StockAgreed(), OrderApproved()], ["id-3", "id-1", "id-2"]
    first = await store.append_once("a", 0, bodies, ids)
    again = await store.append_once("a", 0, bodies, ids)
    assert again.is_repeat
    assert again.events == first.events


@pytest.mark.parametrize("stream", ["a", "b"])
async def test_an_append_under_an_id_that_is_taken_says_so(store: Store, stream: str) -> None:
    await store.append("a", 0, [CreditAgreed()], ids=["id-1"])
    expected = len(await store.load(stream))
    with pytest.raises(ReusedEventIdError, match="id-1"):
        await store.append(stream, expected, [StockAgreed(), OrderApproved()], ids=["id-2", "id-1"])
    assert (await store.load("a"), await store.load("b")) == ([1], [])


async def test_a_stream_keeps_its_partition_key(store: Store) -> None:
    await store.append_once("a", 0, [CreditAgreed()], ["id-1"], key="customer-1")
    with pytest.raises(WrongPartitionKeyError, match="'customer-1', not 'customer-2'"):
        await store.append_once("a", 1, [StockAgreed()], ["id-2"], key="customer-2")
    await store.append_once("b", 0, [CreditAgreed()], ["id-2"], key="customer-2")
    assert await store.load("a") == [1]


@pytest.mark.parametrize("append", [Store.append, Store.append_once])
async def test_two_events_under_one_id_are_refused(store: Store, append: Append) -> None:
    with pytest.raises(ReusedEventIdError, match="id-1"):
        await append(store, "a", 0, [CreditAgreed(), StockAgreed()], ids=["id-1", "id-1"])
    assert await store.load("a") == []


async def test_of_repeats_at_once_one_is_appended(
    store: Store, open_database: OpenDatabase
) -> None:
    other = Store(open_database("orders"))
    outcomes = await asyncio.gather(
        *(
            each.append_once("a", 0, [CreditAgreed()], ["id-1"])
            for _ in range(8)
            for each in (store, other)
        )
    )
    assert sorted(each.is_repeat for each in outcomes) == [False] + [True] * 15
    assert await store.load("a") == [1]
    await other.database.close()
