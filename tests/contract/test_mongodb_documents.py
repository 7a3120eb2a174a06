"""MongoDB as a document store: the contract, its query plans and what it sends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from pymongo import AsyncMongoClient
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from contracts.documents.customers import CUSTOMERS_COLLECTION
from contracts.documents.orders import ORDERS_COLLECTION
from slackwater.errors import ConfigurationError
from slackwater.read_models import mongodb_database, mongodb_dead_letters
from slackwater.read_models.documents import (
    Condition,
    DocumentStore,
    Find,
    Operator,
    Sort,
    UnstorableDocumentError,
)
from slackwater.read_models.mongodb_documents import MongodbDocumentStore
from slackwater.read_models.mongodb_find import count_filter, page_filter, page_sort
from slackwater.read_models.mongodb_progress import MongodbProgressStore
from slackwater.read_models.progress import Claim, ProgressStore
from slackwater.testing.document_store_contract import (
    THINGS,
    DocumentStoreContract,
    OpenStore,
    thing,
)
from slackwater.testing.progress_store_contract import (
    FIRST,
    READ_MODEL,
    SECOND,
    OpenProgress,
    ProgressStoreContract,
    letter,
    load_one,
    parking,
    update,
)
from tests.engines import engine_url

pytestmark = pytest.mark.engine("mongodb")


@pytest.fixture
def url() -> str:
    return engine_url("mongodb")


@pytest.fixture
async def database(url: str) -> AsyncIterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    yield name
    async with AsyncMongoClient(url) as client:
        await client.drop_database(name)


@pytest.fixture
async def open_store(url: str, database: str) -> AsyncIterator[OpenStore]:
    async with AsyncExitStack() as stack:

        async def open_one() -> DocumentStore:
            store = MongodbDocumentStore(url, database=database)
            stack.push_async_callback(store.close)
            return store

        yield open_one


@pytest.fixture
def open_progress(open_store: OpenStore) -> OpenProgress:
    async def open_one() -> ProgressStore:
        return (await open_store()).progress

    return open_one


class TestMongodbDocumentStore(DocumentStoreContract):
    adapter = MongodbDocumentStore


class TestMongodbProgressStore(ProgressStoreContract):
    adapter = MongodbDocumentStore

    async def test_a_hole_that_is_closed_while_others_are_counted_hides_none_of_them(
        self, store: MongodbProgressStore, claim: Claim, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mongodb_dead_letters, "HOLES_LISTED_MAX", 2)
        letters = [letter(offset, f"k{offset}") for offset in range(3, 6)]
        await store.save(parking(claim, 6, *letters))
        first, *_ = (await load_one(store)).holes
        counted = store._dead_letters._counted_behind

        async def after_a_replay(*asked: Any) -> Any:
            assert await store.close_hole(READ_MODEL, first)
            return await counted(*asked)

        monkeypatch.setattr(store._dead_letters, "_counted_behind", after_a_replay)
        *_, rest = (await load_one(store)).holes
        assert (rest.key, rest.keys, rest.offset) == (None, 1, 3)

    async def test_a_closed_hole_is_found_closed_only_with_the_stamp_of_its_replay(
        self, store: MongodbProgressStore, claim: Claim
    ) -> None:
        """A reader may meet the version first and the partition last; nothing freezes between."""
        await store.save(parking(claim, 6, letter(5)))
        [hole] = (await load_one(store)).holes
        replayed = Claim(model=READ_MODEL, fences={}, positions={})
        await store.save(replace(update(replayed, events=1), stamp="b"))
        assert await store.close_hole(READ_MODEL, hole)
        [partition] = await store._collection.find({"holes": 0, "_id.partition": 0}).to_list()
        assert partition["stamp"] == "b"

    async def test_a_stamp_that_is_saved_while_holes_are_listed_is_loaded_with_them(
        self, store: MongodbProgressStore, claim: Claim, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await store.save(parking(claim, 6, letter(5)))
        [hole] = (await load_one(store)).holes
        listed = store._dead_letters.listed

        async def after_a_replay(*asked: Any) -> Any:
            replayed = Claim(model=READ_MODEL, fences={}, positions={})
            await store.save(replace(update(replayed, events=1), stamp="b"))
            assert await store.close_hole(READ_MODEL, hole)
            return await listed(*asked)

        monkeypatch.setattr(store._dead_letters, "listed", after_a_replay)
        found = await load_one(store)
        assert (found.holes, found.stamp) == ((), "b")


class Commands(CommandListener):
    """What was sent, and the operation times that came back."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.times: list[Any] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.sent.append({"name": event.command_name, **event.command})

    def succeeded(self, event: CommandSucceededEvent) -> None:
        self.times.append(event.reply.get("operationTime"))

    def failed(self, event: CommandFailedEvent) -> None:
        pass


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    commands = Commands()
    watched = partial(AsyncMongoClient, event_listeners=[commands])
    monkeypatch.setattr(mongodb_database, "AsyncMongoClient", watched)
    return commands


async def test_each_read_is_one_request_at_or_after_the_time_of_the_progress_read_before(
    url: str, database: str, open_store: OpenStore, commands: Commands
) -> None:
    store, other = await open_store(), await open_store()
    await store.prepare([THINGS])
    await store.progress.register(READ_MODEL)
    claim = await store.progress.claim(READ_MODEL, [FIRST])
    for n in range(3):
        await store.commit([thing("a", revision=n)], update(claim, first=n))
        commands.sent.clear()
        await other.progress.load()
        loaded_at = commands.times[-1]
        assert [sent["readConcern"]["level"] for sent in commands.sent] == ["majority"]
        commands.sent.clear()
        await other.get(THINGS.name, ["a"])
        await other.find(Find(collection=THINGS.name))
        await other.count(THINGS.name)
        assert [sent["name"] for sent in commands.sent] == ["find", "find", "aggregate"]
        assert [sent["readConcern"] for sent in commands.sent] == [
            {"level": "snapshot", "afterClusterTime": loaded_at}
        ] * 3


async def test_a_page_is_one_request_however_long(
    open_store: OpenStore, commands: Commands
) -> None:
    store = await open_store()
    await store.prepare([THINGS])
    await store.progress.register(READ_MODEL)
    claim = await store.progress.claim(READ_MODEL, [FIRST])
    ids = [f"{n:04}" for n in range(250)]
    await store.commit([thing(name) for name in ids], update(claim))
    commands.sent.clear()
    assert len(await store.find(Find(collection=THINGS.name, limit=200))) == 200
    assert len(await store.get(THINGS.name, ids)) == 250
    assert [sent["name"] for sent in commands.sent] == ["find", "find"]


async def test_a_commit_is_one_transaction_with_its_fences_first_and_a_majority_at_its_end(
    open_store: OpenStore, commands: Commands
) -> None:
    store = await open_store()
    await store.prepare([THINGS])
    await store.progress.register(READ_MODEL)
    claim = await store.progress.claim(READ_MODEL, [FIRST])
    await store.commit([thing("a")], update(claim, first=1))
    commands.sent.clear()
    await store.commit([thing("a", revision=1), thing("b")], update(claim, first=2))
    fences, writes, commit = commands.sent
    assert (fences["update"], writes["update"]) == ("progress", "rows_contract_things")
    assert [update["q"]["fence"] for update in fences["updates"]] == [1]
    assert [(update["q"], update["upsert"]) for update in writes["updates"]] == [
        ({"_id": "a", "revision": 1}, False),
        ({"_id": "b", "revision": 0}, True),
    ]
    assert (fences["startTransaction"], fences["readConcern"]["level"]) == (True, "snapshot")
    assert {sent["txnNumber"] for sent in commands.sent} == {commit["txnNumber"]}
    assert (commit["name"], commit["writeConcern"]["w"]) == ("commitTransaction", "majority")
    assert commit["writeConcern"]["j"] is True


async def test_progress_of_one_partition_is_saved_in_one_guarded_request(
    open_store: OpenStore, commands: Commands
) -> None:
    progress = (await open_store()).progress
    await progress.register(READ_MODEL)
    claim = await progress.claim(READ_MODEL, [FIRST, SECOND])
    commands.sent.clear()
    await progress.save(update(claim, first=1))
    [saved] = commands.sent
    assert [each["q"]["fence"] for each in saved["updates"]] == [1]
    assert (saved["writeConcern"]["w"], saved["writeConcern"]["j"]) == ("majority", True)
    assert "startTransaction" not in saved
    commands.sent.clear()
    await progress.save(update(claim, first=2, second=2))
    assert [sent["name"] for sent in commands.sent] == ["update", "commitTransaction"]


NEWEST_FIRST = (Sort(path="placed_at", descending=True), Sort(path="id", descending=True))
STATUS = Condition(path="status", operator=Operator.ANY_OF, value=["PENDING", "APPROVED"])
SINCE = Condition(path="placed_at", operator=Operator.AT_LEAST, value="2026-01-01")
EMAIL = Condition(path="email", operator=Operator.EQUAL, value="a@b.c")
NAME = Condition(path="name", operator=Operator.STARTS_WITH, value="A")


@pytest.mark.parametrize(
    "query",
    [
        Find(collection="orders", order=NEWEST_FIRST),
        Find(collection="orders", where=(SINCE,), order=NEWEST_FIRST),
        Find(collection="orders", where=(STATUS,), order=NEWEST_FIRST),
        Find(collection="customer_orders", where=(EMAIL,)),
        Find(collection="customer_orders", where=(NAME,), order=(Sort(path="name"),)),
    ],
)
async def test_pages_and_counts_scan_an_index(
    url: str, database: str, open_store: OpenStore, query: Find
) -> None:
    await (await open_store()).prepare([ORDERS_COLLECTION, CUSTOMERS_COLLECTION])
    fields = ["visible", *(f"document.{condition.path}" for condition in query.where)]
    page = {"filter": page_filter(query), "sort": dict(page_sort(query)), "limit": query.limit}
    for find in (page, {"filter": count_filter(query.where)}):
        scans = await index_scans(url, database, {"find": f"rows_{query.collection}", **find})
        assert [list(scan["keyPattern"])[: len(fields)] for scan in scans] == [fields]


async def index_scans(url: str, database: str, find: dict[str, Any]) -> list[dict[str, Any]]:
    async with AsyncMongoClient(url) as client:
        explained = await client[database].command("explain", find)
    return list(stages(explained["queryPlanner"]["winningPlan"]))


def stages(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the scans that a plan begins with; none may read a whole collection."""
    inner = [plan["inputStage"]] if "inputStage" in plan else plan.get("inputStages", [])
    assert plan["stage"] != "COLLSCAN"
    if not inner:
        yield plan
    for stage in inner:
        yield from stages(stage)


OPEN_AND_WRITE = """
import asyncio, sys
from slackwater.read_models.mongodb_documents import MongodbDocumentStore
from slackwater.testing.document_store_contract import *

async def main(url, database, name):
    store = MongodbDocumentStore(url, database=database)
    sys.stdin.readline()
    await store.prepare([THINGS, NAMES])
    await store.progress.register(READ_MODEL)
    claim = await store.progress.claim(READ_MODEL, [FIRST])
    for n in range(10):
        await store.commit([thing(f"{name} {n}")], update(claim, events=1))
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_several_processes_prepare_and_write_a_new_database_at_once(
    url: str, database: str, open_store: OpenStore
) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AND_WRITE, url, database, str(n)], stdin=subprocess.PIPE
        )
        for n in range(4)
    ]
    outcomes = [asyncio.to_thread(process.communicate, b"go\n") for process in processes]
    await asyncio.gather(*outcomes)
    assert [process.returncode for process in processes] == [0] * 4
    store = await open_store()
    assert await store.count(THINGS.name) == 40
    [progress] = await store.progress.load()
    assert progress.events_applied == 40
    assert (await store.progress.claim(READ_MODEL, [FIRST])).fences == {FIRST: 5}
    await asyncio.gather(*(handle.drop([THINGS.name]) for handle in (store, await open_store())))


async def test_a_row_too_large_for_the_server_is_refused_by_name(open_store: OpenStore) -> None:
    store = await open_store()
    await store.prepare([THINGS])
    await store.progress.register(READ_MODEL)
    claim = await store.progress.claim(READ_MODEL, [FIRST])
    with pytest.raises(UnstorableDocumentError, match="row b of contract_things"):
        await store.commit([thing("b", text="x" * (1 << 24))], update(claim))


@pytest.mark.parametrize("where", ["http://127.0.0.1", "mongodb://a:b:c@x", "mongodb://x:port"])
def test_a_url_that_is_none_is_a_configuration_error(where: str) -> None:
    with pytest.raises(ConfigurationError, match="correct its URL"):
        MongodbDocumentStore(where)


def test_a_database_name_that_is_none_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError):
        MongodbDocumentStore(url, database="a b")
