"""SQLite as a search index: the contract, and what only FTS5 could get wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from slackwater.read_models.search import (
    Index,
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
