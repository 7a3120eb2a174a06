"""The embedded database: one durable transaction a command, whatever else is in its group."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Connection, func, select

from slackwater.database.sqlite import SqliteDatabase
from slackwater.sqlite.driver import StorageError, WrongStorageError, connect
from slackwater.testing.counting import (
    metadata,
    raise_counter,
    tables,
    unit_of_work,
)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path / "counting.sqlite")
    await database.transact(metadata.create_all)
    yield database
    await database.close()


def _count_events(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(tables.events)).scalar_one()


async def _raise(database: SqliteDatabase, counter_id: str, *, fail: bool = False) -> int:
    def work(connection: Connection) -> int:
        value = unit_of_work(connection).run(lambda unit: raise_counter(unit, counter_id))
        if fail:
            raise ValueError("on purpose")
        return value

    return await database.transact(work)


async def test_acknowledged_commits_are_on_disk(database: SqliteDatabase) -> None:
    def pragmas(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert await database.read(pragmas) == ["wal", 2]
    assert await database.transact(pragmas) == ["wal", 2]


async def test_a_full_disk_is_an_error_and_leaves_nothing_half_done(
    database: SqliteDatabase,
) -> None:
    await _raise(database, "c")
    pages = await database.read(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
    await database.transact(
        lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages}").scalar_one()
    )

    async def fill() -> None:
        for number in range(1_000):
            await _raise(database, f"counter with a long name to fill pages {number}" * 10)

    with pytest.raises(StorageError, match="full"):
        await fill()
    await database.transact(
        lambda c: c.exec_driver_sql("PRAGMA max_page_count = 1000000").scalar_one()
    )
    events = await database.read(_count_events)
    assert await _raise(database, "c") == 2
    assert await database.read(_count_events) == events + 1


async def test_tables_of_another_version_are_no_trouble_that_passes(
    database: SqliteDatabase,
) -> None:
    with pytest.raises(WrongStorageError, match="no such table"):
        await database.read(lambda connection: connection.exec_driver_sql("SELECT * FROM nope"))


async def test_a_locked_file_is_trouble_that_passes(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    def write_in_vain(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
        connection.exec_driver_sql("CREATE TABLE another (id TEXT)")

    other = connect(tmp_path / "counting.sqlite")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked"):
        await database.read(write_in_vain)
    other.close()


def test_those_that_open_a_new_file_at_once_wait_for_one_another(tmp_path: Path) -> None:
    """Entering write-ahead mode is the one lock for which SQLite does not wait by itself."""
    openers = 8
    with ThreadPoolExecutor(openers) as threads:
        for number in range(40):
            together = Barrier(openers)

            def open_and_write(path: Path, together: Barrier = together) -> None:
                together.wait()
                with closing(connect(path)) as connection:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("CREATE TABLE IF NOT EXISTS one (id INTEGER)")
                    connection.execute("COMMIT")

            path = tmp_path / f"{number}.sqlite"
            list(threads.map(open_and_write, [path] * openers))
