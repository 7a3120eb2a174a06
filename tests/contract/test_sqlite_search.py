"""SQLite as a search index: the contract, and what only FTS5 could get wrong."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal

import pytest

from slackwater.errors import StructuralError
from slackwater.read_models.search import Index, SearchField, SearchIndex
from slackwater.read_models.sqlite_match import match_expression
from slackwater.read_models.sqlite_search import (
    ChangedIndexError,
    SqliteSearchIndex,
    UnknownIndexError,
)
from slackwater.testing.search_index_contract import (
    INDEX,
    OpenIndex,
    SearchIndexContract,
    entry,
    found_ids,
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
    pass


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


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
async def test_composed_and_decomposed_letters_are_the_same(
    open_index: OpenIndex, form: Literal["NFC", "NFD"], stored: Literal["NFC", "NFD"]
) -> None:
    index = await open_index()
    await index.prepare(INDEX)
    await write(index, entry("a", unicodedata.normalize(stored, "한국어 커피")))
    assert await found_ids(index, unicodedata.normalize(form, "한국어 커")) == ["a"]


async def test_the_file_waits_for_the_disk(open_index: OpenIndex) -> None:
    index: Any = await open_index()
    pragma = "PRAGMA synchronous"
    [(level,)] = await index._file.read(lambda connection: list(connection.execute(pragma)))
    assert level == 2


async def test_an_index_that_was_not_prepared_says_so(open_index: OpenIndex) -> None:
    index = await open_index()
    with pytest.raises(UnknownIndexError):
        await search(index, "coffee")
    with pytest.raises(UnknownIndexError):
        await index.write(INDEX.name, [entry("a", "Coffee")])
    await index.prepare(INDEX)
    with pytest.raises(UnknownIndexError):
        await index.count("another")


async def test_other_fields_are_refused_and_other_boosts_taken_over(open_index: OpenIndex) -> None:
    index, other = await open_index(), await open_index()
    await index.prepare(INDEX)
    await write(index, entry("a", "coffee", body="tea"), entry("b", "tea", body="coffee"))
    assert await found_ids(other, "coffee") == ["a", "b"]
    fields = (SearchField(name="title", boost=1.0), SearchField(name="body", boost=9.0))
    await index.prepare(Index(name=INDEX.name, fields=fields))
    assert await found_ids(other, "coffee") == ["b", "a"]
    with pytest.raises(ChangedIndexError):
        await index.prepare(Index(name=INDEX.name, fields=(SearchField(name="title"),)))


async def test_fields_may_be_called_like_our_own_columns(open_index: OpenIndex) -> None:
    index = await open_index()
    names = ("id", "kind", "version", "document", "place")
    await index.prepare(
        Index(name=INDEX.name, fields=tuple(SearchField(name=name) for name in names))
    )
    await write(index, entry("a", "", place="coffee", version_=1))
    assert await found_ids(index, "coffee", kinds=("THING",)) == ["a"]


@pytest.mark.parametrize("name", ["", "a b", "a; DROP TABLE x", 'a"b', "Ä"])
async def test_a_name_that_is_none_is_refused(open_index: OpenIndex, name: str) -> None:
    index = await open_index()
    with pytest.raises(StructuralError):
        await index.prepare(Index(name=name, fields=(SearchField(name="title"),)))
    with pytest.raises(StructuralError):
        await index.prepare(Index(name="good", fields=(SearchField(name=name),)))
