"""The embedded database: one durable transaction a command, whatever else is in its group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from slackwater.database.sqlite import SqliteDatabase
from slackwater.outbox.unit_of_work import ForgottenEventError, UnitOfWork
from slackwater.sqlite.driver import StorageError, WrongStorageError, connect
from slackwater.testing.counting import (
    counters,
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


async def test_a_failing_command_takes_back_only_its_own_changes(database: SqliteDatabase) -> None:
    outcomes = await asyncio.gather(
        *(_raise(database, "c", fail=number % 3 == 0) for number in range(30)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, ValueError) for outcome in outcomes) == 10
    assert await database.read(_count_events) == 20
    value = await database.read(lambda connection: connection.scalar(select(counters.c.value)))
    assert value == 20


async def test_a_statement_that_would_commit_ends_no_transaction(database: SqliteDatabase) -> None:
    def commits_and_fails(connection: Connection) -> None:
        unit_of_work(connection).run(lambda unit: raise_counter(unit, "c"))
        connection.commit()
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        await database.transact(commits_and_fails)
    assert await database.read(_count_events) == 0


async def test_a_change_without_an_event_is_refused(database: SqliteDatabase) -> None:
    def forget(unit: UnitOfWork) -> None:
        unit.connection.execute(counters.insert().values(id="c", value=1))

    with pytest.raises(ForgottenEventError):
        await database.transact(lambda connection: unit_of_work(connection).run(forget))
    assert await database.read(lambda connection: connection.scalar(select(counters.c.id))) is None


async def test_a_read_sees_every_commit_that_returned(database: SqliteDatabase) -> None:
    for number in range(1, 21):
        await _raise(database, "c")
        assert await database.read(_count_events) == number


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


async def test_commands_after_closing_are_refused(database: SqliteDatabase) -> None:
    await database.close()
    with pytest.raises(StorageError, match="closed"):
        await _raise(database, "c")


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
