"""MongoDB goes away, loses answers, refuses change streams: nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import gc
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, suppress
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import OperationFailure

from slackwater.errors import ConflictError, FencedError, StructuralError, TransientError
from slackwater.read_models.mongodb_database import Session
from slackwater.read_models.mongodb_documents import MongodbDocumentStore
from slackwater.read_models.mongodb_errors import ServerCode
from slackwater.read_models.progress import Claim
from slackwater.testing.document_store_contract import THINGS, thing
from slackwater.testing.progress_store_contract import FIRST, READ_MODEL, load_one, update
from tests.engines import engine_url
from tests.faults.loopback_proxy import LoopbackProxy

pytestmark = [
    pytest.mark.engine("mongodb"),
    # The driver's monitor leaves a socket to the collector when it is closed while it connects.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

_TIMEOUT_MS = 800
_DEADLINE_S = 10


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Let what the driver forgot be collected while it is forgiven."""
    yield
    gc.collect()


@pytest.fixture
async def client() -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    async with AsyncMongoClient(engine_url("mongodb")) as client:
        yield client


@pytest.fixture
async def database(client: AsyncMongoClient[dict[str, Any]]) -> AsyncIterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    yield name
    await client.drop_database(name)


@pytest.fixture
async def proxy(client: AsyncMongoClient[dict[str, Any]]) -> AsyncIterator[LoopbackProxy]:
    await client.admin.command("ping")
    address = await client.address
    assert address is not None
    async with LoopbackProxy(*address).running() as proxy:
        yield proxy


@pytest.fixture
async def direct(database: str) -> AsyncIterator[MongodbDocumentStore]:
    url = engine_url("mongodb")
    async with aclosing_store(url, database, timeout_ms=1_000 * _DEADLINE_S) as store:
        await store.prepare([THINGS])
        await store.progress.register(READ_MODEL)
        yield store


@pytest.fixture
async def store(
    proxy: LoopbackProxy, direct: MongodbDocumentStore, database: str
) -> AsyncIterator[MongodbDocumentStore]:
    url = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"
    async with aclosing_store(url, database) as store:
        yield store


@pytest.fixture
async def claim(store: MongodbDocumentStore) -> Claim:
    """Claim, again and again if need be: a busy machine may take longer than the time at test."""
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            with suppress(TransientError):
                return await store.progress.claim(READ_MODEL, [FIRST])


def aclosing_store(url: str, database: str, *, timeout_ms: int = _TIMEOUT_MS) -> Any:
    store: Any = MongodbDocumentStore(
        url,
        database=database,
        timeout_ms=timeout_ms,
        server_selection_timeout_ms=timeout_ms // 2,
    )
    store.aclose = store.close
    return aclosing(store)


async def test_a_server_that_is_away_is_transient_within_the_deadline(
    store: MongodbDocumentStore, proxy: LoopbackProxy, claim: Claim
) -> None:
    await store.commit([thing("a")], update(claim, first=1))
    proxy.go_away()
    asked = {
        "load": lambda: store.progress.load(),
        "get": lambda: store.get(THINGS.name, ["a"]),
        "commit": lambda: store.commit([thing("b")], update(claim, first=2)),
        "claim": lambda: store.progress.claim(READ_MODEL, [FIRST]),
        "prepare": lambda: store.prepare([THINGS]),
    }
    for ask in asked.values():
        async with asyncio.timeout(_TIMEOUT_MS / 1000 * 3):
            with pytest.raises(TransientError):
                await ask()
    proxy.come_back()
    await store.commit([thing("b")], update(claim, first=2))
    assert (await load_one(store.progress)).positions == {FIRST: 2}


async def test_a_commit_whose_answer_is_lost_is_done_once(
    store: MongodbDocumentStore, proxy: LoopbackProxy, claim: Claim
) -> None:
    proxy.loses_answer_to = b"commitTransaction"
    await store.commit([thing("a")], update(claim, events=1, first=1))
    assert proxy.loses_answer_to is None
    assert (await store.get(THINGS.name, ["a"]))["a"].revision == 1
    assert (await load_one(store.progress)).events_applied == 1


async def test_a_commit_of_unknown_outcome_can_be_repeated_blindly(
    store: MongodbDocumentStore, proxy: LoopbackProxy, claim: Claim
) -> None:
    proxy.loses_answer_to, proxy.goes_away_with_the_answer = b"commitTransaction", True
    with pytest.raises(TransientError):
        await store.commit([thing("a")], update(claim, events=1, first=1))
    proxy.come_back()
    with pytest.raises(ConflictError):
        await store.commit([thing("a")], update(claim, events=1, first=1))
    assert (await store.get(THINGS.name, ["a"]))["a"].revision == 1
    loaded = await load_one(store.progress)
    assert (loaded.positions, loaded.events_applied) == ({FIRST: 1}, 1)


async def test_a_write_whose_answer_is_lost_before_the_commit_is_done_once(
    store: MongodbDocumentStore, proxy: LoopbackProxy, claim: Claim
) -> None:
    proxy.loses_answer_to = b"rows_contract_things"
    await store.commit([thing("a")], update(claim, events=1, first=1))
    assert (await store.get(THINGS.name, ["a"]))["a"].revision == 1
    assert (await load_one(store.progress)).events_applied == 1


async def test_a_transaction_left_open_by_a_dead_process_is_transient(
    store: MongodbDocumentStore,
    client: AsyncMongoClient[dict[str, Any]],
    database: str,
    claim: Claim,
) -> None:
    async with client.start_session() as session, await session.start_transaction():
        await client[database]["progress"].update_many(
            {}, {"$set": {"touched": True}}, session=session
        )
        async with asyncio.timeout(_TIMEOUT_MS / 1000 * 3):
            with pytest.raises(TransientError):
                await store.progress.claim(READ_MODEL, [FIRST])
        await session.abort_transaction()
    assert (await store.progress.claim(READ_MODEL, [FIRST])).fences == {FIRST: 2}


async def test_what_a_dead_holder_left_open_is_taken_back_by_its_successor(
    store: MongodbDocumentStore, direct: MongodbDocumentStore, claim: Claim
) -> None:
    async def die(session: Session) -> None:
        await store.progress.advance(session, update(claim, first=5))
        raise asyncio.CancelledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AsyncClientSession, "abort_transaction", nothing)  # the dead do not tidy up
        with pytest.raises(asyncio.CancelledError):
            await store.progress.transaction(update(claim), die)
    async with asyncio.timeout(_TIMEOUT_MS / 1000):
        successor = await direct.progress.claim(READ_MODEL, [FIRST])
    assert (successor.fences, successor.positions) == ({FIRST: 2}, {FIRST: 0})
    with pytest.raises(FencedError):
        await store.progress.save(update(claim, first=6))
    await direct.progress.save(update(successor, first=7))


async def test_a_cancelled_save_is_not_in_the_way_of_the_next(
    store: MongodbDocumentStore, claim: Claim
) -> None:
    async def wait(session: Session) -> None:
        await store.progress.advance(session, update(claim, first=5))
        cancelled.cancel()
        await asyncio.sleep(_DEADLINE_S)

    cancelled = asyncio.create_task(store.progress.transaction(update(claim), wait))
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await store.progress.save(update(claim, first=6))
    assert (await load_one(store.progress)).positions == {FIRST: 6}


async def nothing(*_: object) -> None: ...


async def test_a_change_made_while_the_stream_was_away_is_reported(
    store: MongodbDocumentStore,
    direct: MongodbDocumentStore,
    proxy: LoopbackProxy,
    claim: Claim,
) -> None:
    await until_quiet(store)
    proxy.go_away()
    await direct.progress.save(update(claim, first=7))
    proxy.come_back()
    async with asyncio.timeout(_DEADLINE_S):
        await store.progress.wait_for_change(timeout_ms=_DEADLINE_S * 2000)
    assert (await load_one(store.progress)).positions == {FIRST: 7}


async def test_waiting_ends_in_time_while_the_server_is_away(
    store: MongodbDocumentStore, proxy: LoopbackProxy
) -> None:
    await until_quiet(store)
    proxy.go_away()
    async with asyncio.timeout(1):
        for _ in range(3):
            await store.progress.wait_for_change(timeout_ms=20)


async def test_refused_change_streams_are_replaced_by_looking(
    store: MongodbDocumentStore,
    direct: MongodbDocumentStore,
    claim: Claim,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_args: object, **_options: object) -> None:
        raise OperationFailure("refused", ServerCode.CHANGE_STREAM_NEEDS_REPLICA_SET)

    monkeypatch.setattr(AsyncCollection, "watch", refuse)
    await direct.progress.save(update(claim, first=3))
    async with asyncio.timeout(1):
        for _ in range(3):
            await store.progress.wait_for_change(timeout_ms=_DEADLINE_S * 2000)


async def test_closing_leaves_no_task_behind(
    store: MongodbDocumentStore, direct: MongodbDocumentStore
) -> None:
    before = asyncio.all_tasks()
    await until_quiet(direct)
    async with asyncio.timeout(_DEADLINE_S):
        await direct.progress.close()
    assert {task.get_coro().__qualname__ for task in asyncio.all_tasks() - before} <= {  # type: ignore[union-attr]
        "_async_run"  # the driver's own monitors, which end with the client
    }


async def test_a_server_where_nobody_listens_is_transient(database: str) -> None:
    async with aclosing_store("mongodb://127.0.0.1:1/", database) as store:
        async with asyncio.timeout(_TIMEOUT_MS / 1000 * 2):
            with pytest.raises(TransientError):
                await store.progress.load()


async def test_a_wrong_password_is_structural_and_says_the_remedy(
    store: MongodbDocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_args: object, **_options: object) -> None:
        raise OperationFailure("Authentication failed.", ServerCode.AUTHENTICATION_FAILED)

    monkeypatch.setattr(AsyncCollection, "update_one", refuse)
    with pytest.raises(StructuralError, match="correct the user and password"):
        await store.progress.register(READ_MODEL)


async def until_quiet(store: MongodbDocumentStore) -> None:
    """Wait until the stream is open and has nothing more to report."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            began_s = loop.time()
            await store.progress.wait_for_change(timeout_ms=100)
            if loop.time() - began_s > 0.09:
                return
