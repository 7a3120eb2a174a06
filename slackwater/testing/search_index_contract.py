"""What every search index must do, to be inherited by the tests of each adapter.

A subclass names its `adapter` and provides a fixture `open_index`: an async function that opens one
more handle on the same data, which is empty when a test begins, and closes all handles when the
test ends.
"""

from __future__ import annotations

import asyncio
import base64
import html
import re
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slackwater.errors import StructuralError
from slackwater.read_models.documents import Row, RowWrite
from slackwater.read_models.search import (
    ChangedIndexError,
    Hit,
    Index,
    SavedStamp,
    SearchCapability,
    SearchField,
    SearchIndex,
    SearchRequest,
    SearchResult,
    UnconfirmedError,
    UnindexableRowError,
    UnknownIndexError,
)
from slackwater.read_models.search_cursor import InvalidCursorError
from slackwater.testing.claims import AdapterContract, Guarantee, holds, needs

OpenIndex = Callable[[], Awaitable[SearchIndex]]

INDEX = Index(
    name="contract_search",
    fields=(SearchField(name="title", boost=4.0), SearchField(name="body", boost=1.0)),
)

_PAGES_MAX = 1000
_HOSTILE = [
    "",
    " ",
    "\x00",
    "\n\t",
    '"',
    '""',
    '"coffee',
    "'",
    "''; DROP TABLE x; --",
    "*",
    "cof*",
    "^coffee",
    "(",
    ")",
    "((coffee)",
    "title:coffee",
    "title : coffee",
    "nowhere:coffee",
    "{title body}: coffee",
    "NOT",
    "coffee NOT",
    "AND",
    "OR OR",
    "NEAR",
    "NEAR(coffee tea, 2)",
    "coffee + tea",
    "-coffee",
    "\\",
    "/coffee/",
    "[a TO z]",
    "coffee~2",
    "coffee^4",
    "&& || !",
    "😀",
    "☕ coffee",
    "\u0301",
    "\ue000",
    "\U000e0001",
    "x" * 5000,
    "word " * 2000,
    "<em>coffee</em>",
]
_law = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


def entry(id: str, title: str, *, version: int = 1, **fields: Any) -> RowWrite:  # noqa: A002
    """Return a search document to write."""
    return RowWrite(
        collection=INDEX.name,
        id=id,
        version=version,
        expected_revision=0,
        document={"id": id, "kind": "THING", "title": title, "body": "", **fields},
    )


async def write(index: SearchIndex, *rows: RowWrite) -> None:
    """Write documents and make them visible."""
    await index.write(INDEX.name, rows)
    await index.refresh(INDEX.name)


def saved(stamp: str) -> SavedStamp:
    """Return what tells that a stamp was saved."""

    async def load() -> str | None:
        return stamp

    return load


async def search(index: SearchIndex, text: str, **options: Any) -> SearchResult:
    """Search the contract's index."""
    return await index.search(SearchRequest(index=INDEX.name, text=text, **options))


async def found_ids(index: SearchIndex, text: str, **options: Any) -> list[str]:
    """Search, and return the ids of the hits in their order."""
    return [hit.id for hit in (await search(index, text, **options)).hits]


async def page_through(index: SearchIndex, text: str, *, limit: int) -> list[Hit]:
    """Follow a search to its last page."""
    hits: list[Hit] = []
    after: str | None = None
    for _ in range(_PAGES_MAX):
        page = await search(index, text, limit=limit, after=after)
        hits += page.hits
        if len(page.hits) < limit:
            return hits
        after = page.hits[-1].cursor
    raise AssertionError("the pages never end")


def _seen(hits: Sequence[Hit]) -> list[Hit]:
    """Return what a reader sees of hits; cursors are opaque and differ from search to search."""
    return [msgspec.structs.replace(hit, cursor="") for hit in hits]


def _seen_without_scores(hits: Sequence[Hit]) -> list[Hit]:
    return [msgspec.structs.replace(hit, score=0.0) for hit in _seen(hits)]


async def _written_again(index: SearchIndex, other: SearchIndex) -> tuple[SearchResult, ...]:
    """Return what a search shows before and after everything was written again, by both."""
    rows = [entry(f"{n:02}", "Coffee", body="tea " * n, version=n + 1) for n in range(10)]
    await write(index, *rows)
    before = await search(index, "coffee")
    await write(other, *rows)
    await write(index, *reversed(rows))
    return before, await search(index, "coffee")


class SearchIndexContract(AdapterContract):
    """Everything that a search index must do."""

    @pytest.fixture
    async def index(self, open_index: OpenIndex) -> SearchIndex:
        index = await open_index()
        await index.prepare(INDEX)
        return index

    @pytest.fixture
    async def other(self, index: SearchIndex, open_index: OpenIndex) -> SearchIndex:
        return await open_index()

    @pytest.fixture
    async def shop(self, index: SearchIndex) -> SearchIndex:
        await write(
            index,
            entry("grinder", "Coffee grinder", body="Grinds beans for espresso", kind="PRODUCT"),
            entry("pot", "Tea pot", body="For tea, and for coffee if you must", kind="PRODUCT"),
            entry("cafe", "Café Ångström", body="Crème brûlée and ESPRESSO", kind="CUSTOMER"),
            entry("order", "Order 4711", body="SKU-0042 for ada@example.com", kind="ORDER"),
        )
        return index

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("grinder", {"grinder"}),
            ("coffee", {"grinder", "pot"}),
            ("COFFEE", {"grinder", "pot"}),
            ("cafe", {"cafe"}),
            ("CAFÉ", {"cafe"}),
            ("cafe\u0301", {"cafe"}),
            ("angstrom", {"cafe"}),
            ("crème", {"cafe"}),
            ("espresso", {"grinder", "cafe"}),
            ("4711", {"order"}),
            ("sku-0042", {"order"}),
            ("ada@example.com", {"order"}),
            ("chocolate", set()),
        ],
    )
    async def test_a_word_is_found_in_any_field_case_and_accent(
        self, shop: SearchIndex, text: str, expected: set[str]
    ) -> None:
        result = await search(shop, text)
        assert {hit.id for hit in result.hits} == expected
        assert result.total == len(expected)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("coffee tea", {"pot"}),
            ("tea coffee", {"pot"}),
            ("coffee beans", {"grinder"}),
            ("grinder,espresso", {"grinder"}),
            ("coffee chocolate", set()),
        ],
    )
    async def test_all_words_must_match_in_whatever_field_and_order(
        self, shop: SearchIndex, text: str, expected: set[str]
    ) -> None:
        assert set(await found_ids(shop, text)) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("g", {"grinder"}),
            ("gri", {"grinder"}),
            ("grinde", {"grinder"}),
            ("coffee gri", {"grinder"}),
            ("gri coffee", set()),
            ("esp", {"grinder", "cafe"}),
            ("ÅNG", {"cafe"}),
            ("rinder", set()),
        ],
    )
    async def test_only_the_last_word_matches_as_a_prefix(
        self, shop: SearchIndex, text: str, expected: set[str]
    ) -> None:
        assert set(await found_ids(shop, text)) == expected

    @pytest.mark.parametrize("text", ["example ada", "0042 sku", "com", "sku_0042", "4711 ord"])
    async def test_codes_and_addresses_are_split_into_their_words(
        self, shop: SearchIndex, text: str
    ) -> None:
        assert await found_ids(shop, text) == ["order"]

    @pytest.mark.parametrize("form", ["NFC", "NFD"])
    @pytest.mark.parametrize("stored", ["NFC", "NFD"])
    async def test_composed_and_decomposed_letters_are_the_same(
        self, index: SearchIndex, form: Literal["NFC", "NFD"], stored: Literal["NFC", "NFD"]
    ) -> None:
        await write(index, entry("a", unicodedata.normalize(stored, "한국어 커피 Crème")))
        assert await found_ids(index, unicodedata.normalize(form, "한국어 커")) == ["a"]
        [hit] = (await search(index, unicodedata.normalize(form, "crème"))).hits
        assert hit.highlights == {"title": ["한국어 커피 <em>Crème</em>"]}

    @needs(SearchCapability.FUZZY)
    async def test_a_misspelt_word_is_found_on_request_behind_the_right_ones(
        self, index: SearchIndex
    ) -> None:
        await write(index, entry("a", "Cofee pot"), entry("b", "Coffee pot"), entry("c", "Tea pot"))
        assert await found_ids(index, "coffee", fuzzy=True) == ["b", "a"]
        assert await found_ids(index, "coffee pot", fuzzy=True) == ["b", "a"]
        assert await found_ids(index, "coffee") == ["b"]
        assert await found_ids(index, "xoffee", fuzzy=True) == []

    async def test_asking_for_misspelt_words_never_loses_the_right_ones(
        self, shop: SearchIndex
    ) -> None:
        assert set(await found_ids(shop, "coffee", fuzzy=True)) >= {"grinder", "pot"}

    async def test_a_match_in_a_field_of_greater_boost_comes_first(
        self, index: SearchIndex
    ) -> None:
        await write(
            index,
            entry("a", "Water kettle", body="Boils for coffee"),
            entry("b", "Coffee kettle", body="Boils the water"),
            *(entry(f"other {n}", "Something else", body="Quite apart") for n in range(10)),
        )
        hits = (await search(index, "coffee")).hits
        assert [hit.id for hit in hits] == ["b", "a"]
        assert hits[0].score > hits[1].score

    async def test_equal_matches_come_in_the_order_of_their_ids(self, index: SearchIndex) -> None:
        await write(index, *(entry(name, "Coffee") for name in "cabed"))
        assert await found_ids(index, "coffee") == list("abcde")

    async def test_kinds_narrow_hits_and_total(self, shop: SearchIndex) -> None:
        products = await search(shop, "espresso", kinds=("PRODUCT", "ORDER"))
        assert ([hit.id for hit in products.hits], products.total) == (["grinder"], 1)
        assert [hit.kind for hit in products.hits] == ["PRODUCT"]
        assert (await search(shop, "espresso", kinds=("PRODUCT", "CUSTOMER"))).total == 2
        assert (await search(shop, "espresso", kinds=("ORDER",))).total == 0

    async def test_the_total_counts_more_than_the_page(self, index: SearchIndex) -> None:
        await write(index, *(entry(f"{n:02}", "Coffee") for n in range(30)))
        page = await search(index, "coffee", limit=7)
        assert (len(page.hits), page.total) == (7, 30)

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 20])
    async def test_pages_are_complete_and_repeat_nothing(
        self, index: SearchIndex, limit: int
    ) -> None:
        await write(
            index,
            *(entry(f"{n:02}", "coffee " * (1 + n % 3), body="tea " * (n % 2)) for n in range(20)),
        )
        whole = (await search(index, "coffee", limit=100)).hits
        assert len(whole) == 20
        assert [hit.score for hit in whole] == sorted((hit.score for hit in whole), reverse=True)
        assert _seen(await page_through(index, "coffee", limit=limit)) == _seen(whole)

    @needs(SearchCapability.STABLE_PAGES)
    async def test_pages_show_one_state_while_documents_are_written(
        self, index: SearchIndex, other: SearchIndex
    ) -> None:
        await write(index, *(entry(f"{n:02}", "coffee " * (1 + n % 3)) for n in range(20)))
        whole = (await search(index, "coffee", limit=100)).hits
        hits: list[Hit] = []
        after: str | None = None
        for page in range(10):
            found = (await search(index, "coffee", limit=2, after=after)).hits
            hits, after = [*hits, *found], found[-1].cursor
            await write(other, entry(f"{page:02}", "tea", version=2), entry(f"x{page}", "coffee"))
        assert _seen(hits) == _seen(whole)

    async def test_a_page_says_when_it_shows_an_older_state_and_never_where_it_is_read_anew(
        self, index: SearchIndex, other: SearchIndex
    ) -> None:
        await write(index, *(entry(f"{n:02}", "Coffee") for n in range(4)))
        first = await search(index, "coffee", limit=2)
        await write(other, entry("x", "Coffee"))
        later = await search(index, "coffee", limit=2, after=first.hits[-1].cursor)
        anew = await search(index, "coffee", limit=2, after=first.hits[-1].cursor, anew=True)
        assert not first.is_kept
        assert later.is_kept == (SearchCapability.STABLE_PAGES in index.capabilities)
        assert later.total == (4 if later.is_kept else 5)
        assert (anew.is_kept, anew.total) == (False, 5)

    async def test_a_page_goes_on_in_another_process(
        self, index: SearchIndex, other: SearchIndex
    ) -> None:
        await write(index, *(entry(f"{n:02}", "Coffee") for n in range(6)))
        first = (await search(index, "coffee", limit=3)).hits
        assert await found_ids(other, "coffee", after=first[-1].cursor) == ["03", "04", "05"]

    @pytest.mark.parametrize(
        "cursor",
        [
            "",
            "!",
            "ünï",
            "AAAA",
            "e30=",
            *(
                base64.urlsafe_b64encode(text).decode()
                for text in (b"[]", b"[1]", b'["a",1]', b"null", b"[1e999,1]", b'[1.0,"a",2]')
            ),
        ],
    )
    async def test_a_broken_cursor_is_refused(self, shop: SearchIndex, cursor: str) -> None:
        with pytest.raises(InvalidCursorError):
            await search(shop, "coffee", after=cursor)

    async def test_highlights_mark_the_matches_of_each_field(self, shop: SearchIndex) -> None:
        [hit] = (await search(shop, "creme ang")).hits
        assert hit.highlights == {
            "title": ["Café <em>Ångström</em>"],
            "body": ["<em>Crème</em> brûlée and ESPRESSO"],
        }

    async def test_a_field_without_a_match_has_no_highlight(self, shop: SearchIndex) -> None:
        [hit] = (await search(shop, "grinder")).hits
        assert hit.highlights == {"title": ["Coffee <em>grinder</em>"]}

    async def test_highlights_of_a_long_text_are_short(self, index: SearchIndex) -> None:
        await write(index, entry("a", "Long", body="lorem " * 2000 + "needle " + "ipsum " * 2000))
        [hit] = (await search(index, "needle")).hits
        [snippet] = hit.highlights["body"]
        assert "<em>needle</em>" in snippet
        assert len(snippet) < 1000

    @pytest.mark.parametrize(
        "title",
        [
            "<script>alert('coffee')</script>",
            'coffee <em>"not ours"</em> & <b>more</b>',
            "&lt;coffee&gt; &amp;",
            "\ue000coffee\ue001 \ue000<img src=x>\ue001",
        ],
    )
    async def test_highlights_are_escaped_but_for_the_marks(
        self, index: SearchIndex, title: str
    ) -> None:
        await write(index, entry("a", title))
        [hit] = (await search(index, "coffee")).hits
        [snippet] = hit.highlights["title"]
        assert snippet.count("<em>coffee</em>") == 1
        unmarked = snippet.replace("<em>coffee</em>", "coffee")
        assert not re.search(r"[<>\"']|&(?!\w+;|#\w+;)", unmarked)
        assert html.unescape(unmarked) == re.sub("[\ue000\ue001]", "", title)

    async def test_a_newer_version_replaces_the_older_one(
        self, index: SearchIndex, other: SearchIndex
    ) -> None:
        await write(index, entry("a", "Coffee", version=1))
        await write(other, entry("a", "Tea", version=2, kind="DRINK"))
        assert await found_ids(index, "coffee") == []
        assert await found_ids(index, "tea", kinds=("DRINK",)) == ["a"]
        assert await index.count(INDEX.name) == 1

    @pytest.mark.parametrize("version", [1, 2])
    async def test_a_write_that_is_not_newer_is_dropped_and_the_others_kept(
        self, index: SearchIndex, version: int
    ) -> None:
        await write(index, entry("a", "Tea", version=2))
        await write(index, entry("a", "Coffee", version=version), entry("b", "Coffee"))
        assert await found_ids(index, "coffee") == ["b"]
        assert await found_ids(index, "tea") == ["a"]
        assert (await index.get(INDEX.name, ["a"]))["a"].version == 2

    @holds(Guarantee.VERSION_GUARD)
    async def test_an_older_version_that_comes_late_never_overwrites(
        self, index: SearchIndex, other: SearchIndex
    ) -> None:
        for version in (3, 1, 2, 3):
            await write(other, entry("a", f"word{version}", version=version))
            assert await found_ids(index, "word") == ["a"]
            assert (await index.get(INDEX.name, ["a"]))["a"].document["title"] == "word3"

    @holds(Guarantee.IDEMPOTENCE)
    async def test_writing_everything_again_changes_nothing_but_scores(
        self, index: SearchIndex, other: SearchIndex
    ) -> None:
        before, after = await _written_again(index, other)
        assert after.total == before.total
        assert _seen_without_scores(after.hits) == _seen_without_scores(before.hits)
        assert await index.count(INDEX.name) == 10

    @needs(SearchCapability.STEADY_SCORES)
    @holds(Guarantee.IDEMPOTENCE)
    async def test_writing_everything_again_changes_no_score(
        self, index: SearchIndex, other: SearchIndex
    ) -> None:
        before, after = await _written_again(index, other)
        assert (_seen(after.hits), after.total) == (_seen(before.hits), before.total)

    @holds(Guarantee.IDEMPOTENCE)
    async def test_confirming_what_was_read_changes_nothing(self, index: SearchIndex) -> None:
        await write(index, entry("a", "Tea", version=2), entry("b", "Tea"))
        read = await index.get(INDEX.name, ["a", "b"])
        await index.confirm(INDEX.name, {"a": 2, "b": 1})
        await index.confirm(INDEX.name, {"a": 1})  # newer by now
        await index.confirm(INDEX.name, {})
        assert await index.get(INDEX.name, ["a", "b"]) == read
        assert await found_ids(index, "tea") == ["a", "b"]

    @pytest.mark.parametrize("read", [{"a": 3}, {"a": 2, "gone": 1}])
    async def test_what_is_not_as_it_was_read_is_not_confirmed(
        self, index: SearchIndex, read: dict[str, int]
    ) -> None:
        await write(index, entry("a", "Tea", version=2))
        with pytest.raises(UnconfirmedError):
            await index.confirm(INDEX.name, read)

    @holds(Guarantee.WATERMARKS)
    async def test_every_write_is_found_after_a_refresh_that_came_after_it(
        self, index: SearchIndex, other: SearchIndex
    ) -> None:
        async def write_and_find(handle: SearchIndex, number: int) -> None:
            await write(handle, entry(f"{number}", f"word{number}"))
            assert await found_ids(other, f"word{number}") == [f"{number}"]

        await asyncio.gather(
            *(write_and_find(handle, n) for n, handle in enumerate([index, other] * 10, start=10))
        )

    @holds(Guarantee.WATERMARKS)
    async def test_refreshes_side_by_side_take_nothing_for_lost(self, index: SearchIndex) -> None:
        async def write_and_refresh(writer: int) -> None:
            for number in range(20):
                await write(index, entry(f"{writer}-{number}", "Tea"))

        await asyncio.gather(*map(write_and_refresh, range(5)))
        assert await index.count(INDEX.name, await index.refresh(INDEX.name)) == 100

    @holds(Guarantee.WATERMARKS)
    async def test_an_index_that_was_made_anew_is_not_taken_for_the_one_before(
        self, index: SearchIndex, other: SearchIndex
    ) -> None:
        for number in range(5):
            await write(index, entry(f"{number}", "Tea"))
            await other.refresh(INDEX.name)
        await index.drop(INDEX.name)
        await index.prepare(INDEX)
        for handle in (other, index):
            handle.resume(INDEX.name, "")
            stamp = await handle.refresh(INDEX.name)
            assert (await search(handle, "tea", stamp=stamp)).total == 0

    @holds(Guarantee.WATERMARKS)
    async def test_what_a_refresh_stamps_is_shown_to_whoever_asks_for_it(
        self, index: SearchIndex, other: SearchIndex
    ) -> None:
        for number, handle in enumerate([index, other] * 3, start=1):
            await handle.write(INDEX.name, [entry(f"{number}", "Coffee")])
            stamp = await handle.refresh(INDEX.name)
            for reader in (index, other):
                assert (await search(reader, "coffee", stamp=stamp)).total == number
                assert await reader.count(INDEX.name, stamp) == number

    async def test_writing_nothing_and_getting_nothing_is_no_trouble(
        self, index: SearchIndex
    ) -> None:
        await write(index)
        assert await index.get(INDEX.name, []) == {}

    async def test_within_one_write_the_newest_wins(self, index: SearchIndex) -> None:
        await write(
            index,
            entry("a", "One", version=1),
            entry("a", "Three", version=3),
            entry("a", "Two", version=2),
        )
        assert await found_ids(index, "three") == ["a"]
        assert await found_ids(index, "two") == []

    async def test_writes_at_the_same_time_leave_the_newest(
        self, index: SearchIndex, other: SearchIndex
    ) -> None:
        await asyncio.gather(
            *(
                handle.write(INDEX.name, [entry("a", f"word{version}", version=version)])
                for version in range(1, 21)
                for handle in (index, other)
            )
        )
        await index.refresh(INDEX.name)
        assert await found_ids(other, "word") == ["a"]
        assert (await other.get(INDEX.name, ["a"]))["a"].document["title"] == "word20"

    async def test_a_document_is_returned_as_it_was_written(
        self, index: SearchIndex, other: SearchIndex
    ) -> None:
        row = entry("é😀", "Coffee", version=3, extra={"lines": [1, None, "ß"]})
        await index.write(INDEX.name, [row])
        assert await other.get(INDEX.name, ["é😀", "missing"]) == {
            "é😀": Row(id="é😀", version=3, revision=3, document=row.document)
        }

    @pytest.mark.parametrize(
        "odd",
        [{"extra": object()}, {"extra": 2**70}, {"extra": "\ud800"}, {"kind": None}, {"body": 5}],
        ids=["an object", "too large a number", "half a character", "no kind", "no text"],
    )
    async def test_a_row_that_can_never_be_written_is_named(
        self, index: SearchIndex, odd: dict[str, Any]
    ) -> None:
        with pytest.raises(UnindexableRowError, match="row odd at version 1 cannot") as caught:
            await index.write(INDEX.name, [entry("odd", "Coffee", **odd)])
        assert caught.value.row_id == "odd"

    async def test_what_is_kept_beside_the_fields_is_not_searched(self, index: SearchIndex) -> None:
        await write(index, entry("a", "Coffee", secret="hidden"))  # noqa: S106
        assert await found_ids(index, "hidden") == []

    async def test_another_handle_sees_what_was_refreshed(
        self, shop: SearchIndex, other: SearchIndex
    ) -> None:
        assert set(await found_ids(other, "coffee")) == {"grinder", "pot"}
        assert await other.count(INDEX.name) == 4

    async def test_an_index_that_was_not_prepared_says_so(self, open_index: OpenIndex) -> None:
        index = await open_index()
        for step in (
            index.prepare(INDEX, may_create=False),
            search(index, "coffee"),
            index.write(INDEX.name, [entry("a", "Coffee")]),
            index.get(INDEX.name, ["a"]),
            index.count(INDEX.name),
        ):
            with pytest.raises(UnknownIndexError):
                await step

    async def test_a_dropped_index_says_so(self, shop: SearchIndex, other: SearchIndex) -> None:
        assert await found_ids(other, "grinder") == ["grinder"]
        await other.prepare(INDEX, may_create=False)
        await shop.drop(INDEX.name)
        for handle in (shop, other):
            with pytest.raises(UnknownIndexError):
                await handle.prepare(INDEX, may_create=False)
            with pytest.raises(UnknownIndexError):
                await search(handle, "coffee")
            with pytest.raises(UnknownIndexError):
                await handle.write(INDEX.name, [entry("a", "Coffee")])

    async def test_other_fields_are_refused(self, index: SearchIndex) -> None:
        with pytest.raises(ChangedIndexError):
            await index.prepare(Index(name=INDEX.name, fields=(SearchField(name="title"),)))

    async def test_new_boosts_replace_the_old_ones(
        self, index: SearchIndex, open_index: OpenIndex
    ) -> None:
        await write(index, entry("a", "coffee", body="tea"), entry("b", "tea", body="coffee"))
        assert await found_ids(index, "coffee") == ["a", "b"]
        fields = (SearchField(name="title", boost=1.0), SearchField(name="body", boost=9.0))
        await index.prepare(Index(name=INDEX.name, fields=fields))
        for handle in (index, await open_index()):
            assert await found_ids(handle, "coffee") == ["b", "a"]

    async def test_fields_may_be_called_like_an_engine_s_own(self, open_index: OpenIndex) -> None:
        index = await open_index()
        names = ("id", "kind", "version", "document", "place", "texts")
        fields = tuple(SearchField(name=name) for name in names)
        await index.prepare(Index(name=INDEX.name, fields=fields))
        await write(index, entry("a", "", place="coffee", texts="tea", document="pot"))
        assert await found_ids(index, "coffee tea pot", kinds=("THING",)) == ["a"]

    @pytest.mark.parametrize("name", ["", "a b", "a; DROP TABLE x", 'a"b', "Ä", "a,b", "*"])
    async def test_a_name_that_is_none_is_refused(self, open_index: OpenIndex, name: str) -> None:
        index = await open_index()
        with pytest.raises(StructuralError):
            await index.prepare(Index(name=name, fields=(SearchField(name="title"),)))
        with pytest.raises(StructuralError):
            await index.prepare(Index(name="good", fields=(SearchField(name=name),)))

    async def test_preparing_again_keeps_the_documents(
        self, shop: SearchIndex, other: SearchIndex
    ) -> None:
        await asyncio.gather(shop.prepare(INDEX), other.prepare(INDEX))
        assert await other.count(INDEX.name) == 4

    async def test_a_dropped_index_is_empty_when_it_is_prepared_anew(
        self, shop: SearchIndex
    ) -> None:
        await shop.drop(INDEX.name)
        await shop.drop(INDEX.name)
        await shop.prepare(INDEX)
        assert (await shop.count(INDEX.name), await found_ids(shop, "coffee")) == (0, [])
        await write(shop, entry("grinder", "Coffee"))
        assert await found_ids(shop, "coffee") == ["grinder"]

    @pytest.mark.parametrize("text", ["", "  ", '"', "*", "(-)", "😀", "\u0301"])
    async def test_a_text_without_a_word_finds_nothing(self, shop: SearchIndex, text: str) -> None:
        assert await search(shop, text) == SearchResult(hits=[], total=0)

    @pytest.mark.parametrize("text", _HOSTILE)
    async def test_hostile_text_is_only_text(self, shop: SearchIndex, text: str) -> None:
        result = await search(shop, text)
        assert result.total == len(result.hits)

    @pytest.mark.parametrize("text", ["NOT", "AND", "OR", "NEAR"])
    async def test_operators_are_words_like_any_other(self, index: SearchIndex, text: str) -> None:
        await write(index, entry("a", "To be or not to be, near and far"), entry("b", "Else"))
        assert await found_ids(index, text) == ["a"]
        assert await found_ids(index, f"be {text} to") == ["a"]

    @_law
    @given(
        text=st.text(max_size=30) | st.lists(st.sampled_from(_HOSTILE), max_size=5).map(" ".join)
    )
    async def test_no_text_is_an_error(self, shop: SearchIndex, text: str) -> None:
        result = await search(shop, text)
        assert result.total >= len(result.hits)

    @_law
    @given(words=st.lists(st.text("abcdefé", min_size=1, max_size=4), min_size=1, max_size=5))
    async def test_a_document_is_found_by_any_of_its_words(
        self, index: SearchIndex, words: list[str]
    ) -> None:
        stored = await index.get(INDEX.name, ["a"])
        version = stored["a"].version + 1 if stored else 1
        await write(index, entry("a", " ".join(words), version=version))
        for text in (*words, " ".join(words), " ".join(reversed(words))):
            assert await found_ids(index, text) == ["a"]
