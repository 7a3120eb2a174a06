"""Writers of one SQLite file take turns, and none waits for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from slackwater.file_lock import try_lock
from slackwater.sqlite.driver import Connection, StorageError, connect
from slackwater.sqlite.file import SqliteFile
from slackwater.sqlite.turn import WriteTurn

SELDOM = 40
ROUNDS = 3
PASSED_BY_MAX = 20


def insert(connection: Connection) -> None:
    connection.execute("INSERT INTO written VALUES (1)")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shared.sqlite"
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE written (number INTEGER)")
    return path


@pytest.fixture
async def busy(path: Path) -> AsyncIterator[list[int]]:
    """A handle that writes without a pause; how many transactions it has committed."""
    file, commits = SqliteFile(path), [0]

    async def write() -> None:
        while True:
            await file.write(insert)
            commits[0] += 1

    writing = [asyncio.create_task(write()) for _ in range(4)]
    yield commits
    for each in writing:
        each.cancel()
    await asyncio.gather(*writing, return_exceptions=True)
    await file.close()


async def test_who_writes_without_a_pause_does_not_keep_others_away(
    path: Path, busy: list[int]
) -> None:
    while not busy[0]:
        await asyncio.sleep(0.005)
    # A machine that did not run it for a while did not refuse it, and does not so every time.
    rounds = [await asyncio.to_thread(write_seldom, path) for _ in range(ROUNDS)]
    assert min(rounds) <= PASSED_BY_MAX, rounds


def write_seldom(path: Path) -> int:
    """Write now and then; return by how many writes of others this was passed at most."""
    turn = WriteTurn(path)
    with closing(connect(path)) as looking, closing(connect(path)) as writing:
        writing.execute("PRAGMA busy_timeout = 0")
        passed_by = 0
        for _ in range(SELDOM):
            before = written(looking)
            turn.begin(writing)
            passed_by = max(passed_by, written(writing) - before)
            insert(writing)
            writing.execute("COMMIT")
            time.sleep(0.005)  # it comes seldom
    turn.close()
    return passed_by


def written(connection: Connection) -> int:
    count: int = connection.execute("SELECT max(rowid) FROM written").fetchone()[0]
    return count


def test_patience_ends_and_leaves_the_turn_to_others(path: Path) -> None:
    with closing(connect(path)) as holder, closing(connect(path)) as waiting:
        waiting.execute("PRAGMA busy_timeout = 0")
        holder.execute("BEGIN IMMEDIATE")
        impatient, other = WriteTurn(path, patience_s=0.05), WriteTurn(path)
        with pytest.raises(StorageError, match="kept the database locked"):
            impatient.begin(waiting)
        holder.execute("ROLLBACK")
        other.begin(waiting)
        insert(waiting)
        waiting.execute("COMMIT")
        impatient.close()
        other.close()


def test_one_that_has_the_turn_and_does_not_go_on_is_not_waited_for_longer(path: Path) -> None:
    with closing(connect(path)) as driver:
        stuck, impatient = WriteTurn(path), WriteTurn(path, patience_s=0.05)
        assert try_lock(stuck._file)
        with pytest.raises(StorageError, match="try again"):
            impatient.begin(driver)
        stuck.close()  # as the end of its process does
        impatient.begin(driver)
        driver.execute("ROLLBACK")
        impatient.close()


async def test_a_folder_that_is_not_there_is_an_error_of_the_storage(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no turn can be taken"):
        WriteTurn(tmp_path / "missing" / "shared.sqlite")
