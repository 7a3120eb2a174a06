"""SQLite as a document store: the contract, its query plans and its pragmas."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from contracts.documents.customers import CUSTOMERS_COLLECTION
from contracts.documents.orders import ORDERS_COLLECTION
from contracts.documents.products import PRODUCTS_COLLECTION
from slackwater.read_models.documents import (
    Condition,
    DocumentStore,
    Find,
    Operator,
    Sort,
)
from slackwater.read_models.progress import ProgressStore
from slackwater.read_models.query import InvalidQueryError
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.sqlite_find import Statement, count_statement, page_statement
from slackwater.read_models.sqlite_progress import SqliteProgressStore
from slackwater.sqlite.driver import connect
from slackwater.testing.document_store_contract import (
    THINGS,
    DocumentStoreContract,
    OpenStore,
)
from slackwater.testing.doorbell import LocalDoorbell
from slackwater.testing.progress_store_contract import (
    FIRST,
    READ_MODEL,
    OpenProgress,
    ProgressStoreContract,
    letter,
    parking,
    update,
)


@pytest.fixture
def file_path(tmp_path: Path) -> Path:
    return tmp_path / "documents.db"


@pytest.fixture
async def open_store(file_path: Path) -> AsyncIterator[OpenStore]:
    doorbell = LocalDoorbell()
    async with AsyncExitStack() as stack:

        async def open_one() -> DocumentStore:
            store = SqliteDocumentStore(file_path, doorbell)
            stack.push_async_callback(store.close)
            return store

        yield open_one


@pytest.fixture
def open_progress(open_store: OpenStore) -> OpenProgress:
    async def open_one() -> ProgressStore:
        return (await open_store()).progress

    return open_one


class TestSqliteDocumentStore(DocumentStoreContract):
    adapter = SqliteDocumentStore


class TestSqliteProgressStore(ProgressStoreContract):
    adapter = SqliteDocumentStore


NEWEST_FIRST = (Sort(path="placed_at", descending=True), Sort(path="id", descending=True))
BY_STATUS = Condition(path="status", operator=Operator.ANY_OF, value=["PENDING"])
BY_STATUSES = Condition(path="status", operator=Operator.ANY_OF, value=["PENDING", "APPROVED"])
BY_CUSTOMER = Condition(path="customer_id", operator=Operator.EQUAL, value="c")
SINCE = Condition(path="placed_at", operator=Operator.AT_LEAST, value="2026-01-01")
UNTIL = Condition(path="placed_at", operator=Operator.BELOW, value="2026-02-01")
ORDER_CONDITIONS = [
    (),
    (BY_STATUS,),
    (BY_STATUSES,),
    (BY_CUSTOMER,),
    (BY_CUSTOMER, BY_STATUS),
    (BY_CUSTOMER, BY_STATUSES),
    (SINCE, UNTIL),
    (BY_STATUS, SINCE, UNTIL),
]


async def explain(store: DocumentStore, file_path: Path, statement: Statement) -> str:
    await store.prepare([ORDERS_COLLECTION, CUSTOMERS_COLLECTION, PRODUCTS_COLLECTION])
    connection = connect(file_path)
    plan = connection.execute("EXPLAIN QUERY PLAN " + statement.sql, statement.parameters)
    lines = [row[3] for row in plan]
    connection.close()
    return "\n".join(lines)


@pytest.mark.parametrize("after", [None, ("2026-01-15", "o")])
@pytest.mark.parametrize("where", ORDER_CONDITIONS)
async def test_every_page_of_orders_comes_sorted_from_an_index(
    open_store: OpenStore,
    file_path: Path,
    where: tuple[Condition, ...],
    after: tuple[str, str] | None,
) -> None:
    query = Find(collection="orders", where=where, order=NEWEST_FIRST, after=after)
    plan = await explain(await open_store(), file_path, page_statement(query))
    assert "USING INDEX index of orders by" in plan
    assert "TEMP B-TREE" not in plan
    for equal in {"status", "customer_id"} & {condition.path for condition in where}:
        assert equal in plan
    if after or SINCE in where:
        assert "<expr><?" in plan


@pytest.mark.parametrize("where", ORDER_CONDITIONS)
async def test_every_count_of_orders_reads_an_index_alone(
    open_store: OpenStore, file_path: Path, where: tuple[Condition, ...]
) -> None:
    plan = await explain(await open_store(), file_path, count_statement("orders", where))
    assert "USING COVERING INDEX" in plan


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Find(collection="products"), "USING INDEX sqlite_autoindex_rows_products_1"),
        (Find(collection="products", after=("a",)), "sqlite_autoindex_rows_products_1 (id>?)"),
        (
            Find(
                collection="customer_orders",
                where=(Condition(path="email", operator=Operator.EQUAL, value="a@b.c"),),
            ),
            "USING INDEX index of customer_orders by email, id (<expr>=?)",
        ),
        (
            Find(
                collection="customer_orders",
                where=(Condition(path="name", operator=Operator.STARTS_WITH, value="A"),),
                order=(Sort(path="name"), Sort(path="id")),
            ),
            "USING INDEX index of customer_orders by name, id (<expr>>? AND <expr><?)",
        ),
    ],
)
async def test_lookups_come_sorted_from_an_index(
    open_store: OpenStore, file_path: Path, query: Find, expected: str
) -> None:
    plan = await explain(await open_store(), file_path, page_statement(query))
    assert expected in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    "query",
    [
        Find(collection="Orders; --"),
        Find(collection="orders", order=()),
        Find(collection="orders", order=(Sort(path="a"), Sort(path="id", descending=True))),
        Find(collection="orders", after=("a", "b")),
        Find(collection="orders", after=(None,)),
    ],
)
def test_a_find_that_cannot_be_paged_is_refused(query: Find) -> None:
    with pytest.raises(InvalidQueryError):
        page_statement(query)


async def test_the_file_does_not_wait_for_the_disk(open_store: OpenStore) -> None:
    store: Any = await open_store()
    pragma = "PRAGMA synchronous"
    [(level,)] = await store._file.read(lambda connection: list(connection.execute(pragma)))
    assert level == 1


OPEN_AND_WRITE = """
import asyncio, sys
from pathlib import Path
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.testing.document_store_contract import *
from slackwater.testing.doorbell import LocalDoorbell

async def main(path, name):
    store = SqliteDocumentStore(path, LocalDoorbell())
    sys.stdin.readline()
    await store.prepare([THINGS])
    await store.progress.register(READ_MODEL)
    claim = await store.progress.claim(READ_MODEL, [FIRST])
    for n in range(20):
        await store.commit([thing(f"{name} {n}")], update(claim, events=1))
    await store.close()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


async def test_several_processes_open_and_write_a_new_file_at_once(
    open_store: OpenStore, file_path: Path
) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AND_WRITE, str(file_path), str(n)], stdin=subprocess.PIPE
        )
        for n in range(6)
    ]
    outcomes = [asyncio.to_thread(process.communicate, b"go\n") for process in processes]
    await asyncio.gather(*outcomes)
    assert [process.returncode for process in processes] == [0] * 6
    store = await open_store()
    assert await store.count(THINGS.name) == 120
    [progress] = await store.progress.load()
    assert progress.events_applied == 120
    claim = await store.progress.claim(READ_MODEL, [FIRST])
    assert claim.fences[FIRST] == 7


async def test_progress_of_before_there_were_holes_is_gone_on_with(
    open_progress: OpenProgress,
) -> None:
    before = await open_progress()
    await before.register(READ_MODEL)
    await before.save(update(await before.claim(READ_MODEL, [FIRST]), first=5))
    assert isinstance(before, SqliteProgressStore)
    await before._file.write(
        lambda connection: connection.execute(
            "ALTER TABLE progress_partitions DROP COLUMN holes"
        ).close()
    )
    store = await open_progress()
    claim = await store.claim(READ_MODEL, [FIRST])
    assert claim.positions == {FIRST: 5}
    await store.save(parking(claim, 7, letter(6)))
    [loaded] = await store.load()
    assert [hole.offset for hole in loaded.holes] == [6]
