"""SQLite as a search index: the contract, and what only FTS5 could get wrong."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from slackwater.read_models import sqlite_stamps
from slackwater.read_models.search import (
    Index,
    LostWritesError,
    PartialResultError,
    SearchField,
    SearchIndex,
)
from slackwater.read_models.sqlite_match import match_expression
from slackwater.read_models.sqlite_search import SqliteSearchIndex
from slackwater.testing.search_index_contract import (
    INDEX,
    OpenIndex,
    SearchIndexContract,
    entry,
    found_ids,
    saved,
    search,
    write,
)


@pytest.fixture
async def open_index(tmp_path: Path) -> AsyncIterator[OpenIndex]:
    async with AsyncExitStack() as stack:

        async def open_one() -> SearchIndex:
            index = SqliteSearchIndex(tmp_path / "search.db")
            stack.push_async_callback(index.close)
            return index

        yield open_one


class TestSqliteSearchIndex(SearchIndexContract):
    adapter = SqliteSearchIndex


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("coffee", '"coffee"*'),
        ('say "coffee" NOT tea', '"say" "coffee" "NOT" "tea"*'),
        ("a-b_c", '"a" "b" "c"*'),
        ("w " * 100, " ".join(['"w"'] * 32) + "*"),
        ("\ue000☕\x00", None),
    ],
)
def test_every_word_is_quoted_and_the_last_is_a_prefix(text: str, expected: str | None) -> None:
    assert match_expression(text) == expected


async def test_the_file_waits_for_the_disk(open_index: OpenIndex) -> None:
    index: Any = await open_index()
    pragma = "PRAGMA synchronous"
    [(level,)] = await index._file.read(lambda connection: list(connection.execute(pragma)))
    assert level == 2


async def test_other_handles_take_over_new_boosts_at_once(open_index: OpenIndex) -> None:
    index, other = await open_index(), await open_index()
    await index.prepare(INDEX)
    await write(index, entry("a", "coffee", body="tea"), entry("b", "tea", body="coffee"))
    assert await found_ids(other, "coffee") == ["a", "b"]
    fields = (SearchField(name="title", boost=1.0), SearchField(name="body", boost=9.0))
    await index.prepare(Index(name=INDEX.name, fields=fields))
    assert await found_ids(other, "coffee") == ["b", "a"]


async def test_a_file_that_was_put_back_to_a_backup_is_not_gone_on_with(
    open_index: OpenIndex, tmp_path: Path
) -> None:
    index: Any = await open_index()
    await index.prepare(INDEX)
    await write(index, entry("a", "Coffee"))
    with sqlite3.connect(tmp_path / "search.db") as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
    await write(index, entry("b", "Coffee"))
    stamp = await index.refresh(INDEX.name)
    await index.close()
    for name in ("search.db", "search.db-wal", "search.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "backup.db").rename(tmp_path / "search.db")

    put_back = await open_index()
    for asking in (search(put_back, "coffee", stamp=stamp), put_back.count(INDEX.name, stamp)):
        with pytest.raises(PartialResultError):
            await asking
    assert await found_ids(put_back, "coffee") == ["a"]
    for number in range(3):  # the third write lets the count catch up
        with pytest.raises(LostWritesError, match="slackwater rebuild"):
            await (await open_index()).refresh(INDEX.name, saved(stamp))
        await put_back.write(INDEX.name, [entry(f"c{number}", "Coffee")])
    with pytest.raises(LostWritesError):  # also whoever knows no stamp
        await (await open_index()).refresh(INDEX.name)
    with pytest.raises(PartialResultError):
        await search(put_back, "coffee", stamp=stamp)


async def test_a_file_of_a_release_without_stamps_is_gone_on_with(
    open_index: OpenIndex, tmp_path: Path
) -> None:
    index = await open_index()
    await index.prepare(INDEX)
    await write(index, entry("a", "Coffee"))
    with sqlite3.connect(tmp_path / "search.db") as connection:
        connection.execute("DROP TABLE search_stamps")
    index = await open_index()
    before = await index.refresh(INDEX.name)
    await index.write(INDEX.name, [entry("b", "Coffee")])
    stamp = await index.refresh(INDEX.name, saved(before))
    assert stamp > before
    assert (await search(index, "coffee", stamp=stamp)).total == 2


async def test_a_snapshot_that_was_long_in_being_told_is_not_taken_for_a_loss(
    open_index: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = await open_index()
    await index.prepare(INDEX)
    await write(index, entry("a", "Coffee"))
    shown = sqlite_stamps.shown
    taken, told = threading.Event(), threading.Event()

    def told_late(connection: Any, name: str) -> sqlite_stamps.Shown:
        found = shown(connection, name)
        if not taken.is_set():
            taken.set()
            assert told.wait(timeout=10)
        return found

    monkeypatch.setattr(sqlite_stamps, "shown", told_late)
    late = asyncio.create_task(index.refresh(INDEX.name))
    await asyncio.to_thread(taken.wait, 10)
    await write(index, entry("b", "Coffee"))
    told.set()
    await late
    await index.refresh(INDEX.name)


async def test_what_is_said_of_a_dropped_index_is_not_said_of_the_next_one_of_its_name(
    open_index: OpenIndex,
) -> None:
    index: Any = await open_index()
    await index.prepare(INDEX)
    await index.drop(INDEX.name)
    await index._file.write(lambda connection: sqlite_stamps.mark_lost(connection, INDEX.name))
    await index.prepare(INDEX)
    await index.refresh(INDEX.name)
