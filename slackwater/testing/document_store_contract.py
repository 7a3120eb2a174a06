"""What every document store must do, to be inherited by the tests of each adapter.

Its progress has a contract of its own (`progress_store_contract`), which the same adapter passes.

A subclass names its `adapter` and provides a fixture `open_store`: an async function that opens one
more handle on the same data, which is empty when a test begins, and closes all handles when the
test ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from slackwater.errors import ConflictError, FencedError, PoisonousEventError, StructuralError
from slackwater.read_models.documents import (
    Collection,
    Condition,
    Document,
    DocumentStore,
    Find,
    Index,
    Operator,
    Row,
    RowWrite,
    Sort,
    UnknownCollectionError,
)
from slackwater.read_models.progress import Claim
from slackwater.testing.claims import AdapterContract, Guarantee, holds
from slackwater.testing.progress_store_contract import (
    FIRST,
    READ_MODEL,
    SECOND,
    load_one,
    update,
)

OpenStore = Callable[[], Awaitable[DocumentStore]]

THINGS = Collection(
    name="contract_things",
    indexes=(
        Index(paths=("rank", "id")),
        Index(paths=("shelf", "rank", "id")),
        Index(paths=("label", "id")),
        Index(paths=("owner.name", "id")),
    ),
)
NAMES = Collection(name="contract_names", indexes=(Index(paths=("name",), unique=True),))

_DEADLINE_S = 10
_ROUNDS = 20
_PAGES_MAX = 1000

_texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5
) | st.sampled_from(
    [
        "a",
        "ab",
        "b",
        "é",
        "ß",
        "z",
        "\ud7ff",
        "\ud7ffa",
        "\uffff",
        "\U0010ffff",
        "😀",
        "%",
        "_",
        "'",
    ]
)
_scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _texts
_json = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc_", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
_numbers = itertools.count()

_law = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


def thing(
    id: str,  # noqa: A002
    *,
    version: int = 1,
    revision: int = 0,
    collection: str = THINGS.name,
    **fields: Any,
) -> RowWrite:
    """Return a row to write; `revision` is the expected one."""
    return RowWrite(
        collection=collection,
        id=id,
        version=version,
        expected_revision=revision,
        document={"id": id, **fields},
    )


async def page_through(store: DocumentStore, query: Find) -> list[Row]:
    """Follow a find to its last page."""
    rows: list[Row] = []
    after: tuple[Any, ...] | None = None
    for _ in range(_PAGES_MAX):
        page = await store.find(
            Find(
                collection=query.collection,
                where=query.where,
                order=query.order,
                after=after,
                limit=query.limit,
            )
        )
        rows += page
        if len(page) < query.limit:
            return rows
        after = tuple(page[-1].document[sort.path] for sort in query.order)
    raise AssertionError("the pages never end")


class _Stores:
    """Fixtures that the suites share."""

    @pytest.fixture
    async def store(self, open_store: OpenStore) -> DocumentStore:
        store = await open_store()
        await store.prepare([THINGS])
        await store.progress.register(READ_MODEL)
        return store

    @pytest.fixture
    async def other(self, store: DocumentStore, open_store: OpenStore) -> DocumentStore:
        return await open_store()

    @pytest.fixture
    async def claim(self, store: DocumentStore) -> Claim:
        return await store.progress.claim(READ_MODEL, [FIRST, SECOND])


class CommitContract(_Stores):
    """Guards, atomicity, and what a row keeps."""

    async def test_a_row_counts_its_writes(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await store.commit([thing("a", version=1, label="old")], update(claim))
        await store.commit([thing("a", version=4, revision=1, label="new")], update(claim))
        assert await other.get(THINGS.name, ["a"]) == {
            "a": Row(id="a", version=4, revision=2, document={"id": "a", "label": "new"})
        }

    async def test_a_row_that_exists_cannot_be_inserted(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        await store.commit([thing("a", label="first")], update(claim))
        with pytest.raises(ConflictError):
            await store.commit([thing("a", label="second")], update(claim))
        assert (await store.get(THINGS.name, ["a"]))["a"].document["label"] == "first"

    async def test_a_row_that_does_not_exist_cannot_be_replaced(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        with pytest.raises(ConflictError):
            await store.commit([thing("a", revision=1)], update(claim))
        assert await store.get(THINGS.name, ["a"]) == {}

    @pytest.mark.parametrize("revision", [1, 3])
    @holds(Guarantee.VERSION_GUARD)
    async def test_a_write_on_another_revision_is_refused(
        self, store: DocumentStore, claim: Claim, revision: int
    ) -> None:
        await store.commit([thing("a")], update(claim))
        await store.commit([thing("a", revision=1, label="second")], update(claim))
        with pytest.raises(ConflictError):
            await store.commit([thing("a", revision=revision, label="third")], update(claim))
        assert (await store.get(THINGS.name, ["a"]))["a"].document["label"] == "second"

    @holds(Guarantee.ATOMICITY)
    async def test_a_commit_with_one_bad_row_leaves_nothing(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await store.commit([thing("b", label="kept")], update(claim))
        with pytest.raises(ConflictError):
            await store.commit(
                [thing("a"), thing("b"), thing("c")], update(claim, events=3, first=3)
            )
        assert set(await other.get(THINGS.name, ["a", "b", "c"])) == {"b"}
        loaded = await load_one(other.progress)
        assert (loaded.positions[FIRST], loaded.events_applied) == (0, 0)

    @holds(Guarantee.ATOMICITY)
    async def test_a_new_row_that_exists_is_refused_beside_one_that_is_replaced(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await store.commit([thing("a", label="kept"), thing("b", label="kept")], update(claim))
        with pytest.raises(ConflictError):
            await store.commit([thing("a", revision=1), thing("b")], update(claim, first=3))
        found = await other.get(THINGS.name, ["a", "b"])
        assert [(row.revision, row.document["label"]) for row in found.values()] == [
            (1, "kept")
        ] * 2
        assert (await load_one(other.progress)).positions[FIRST] == 0

    @holds(Guarantee.FENCING)
    async def test_a_commit_with_a_stale_fence_leaves_nothing(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await other.progress.claim(READ_MODEL, [SECOND])
        with pytest.raises(FencedError):
            await store.commit([thing("a")], update(claim, events=2, first=1, second=1))
        assert await other.get(THINGS.name, ["a"]) == {}
        loaded = await load_one(other.progress)
        assert (loaded.positions, loaded.events_applied) == ({FIRST: 0, SECOND: 0}, 0)

    async def test_a_fenced_projector_hears_of_its_fence_and_not_of_a_conflict(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        newer = await other.progress.claim(READ_MODEL, [FIRST])
        await other.commit([thing("a")], update(newer, first=1))
        with pytest.raises(FencedError):
            await store.commit([thing("a")], update(claim, first=1))

    async def test_a_commit_shows_its_rows_and_its_progress(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await store.commit([thing("a"), thing("b")], update(claim, events=2, first=2))
        assert set(await other.get(THINGS.name, ["a", "b"])) == {"a", "b"}
        loaded = await load_one(other.progress)
        assert (loaded.positions, loaded.events_applied) == ({FIRST: 2, SECOND: 0}, 2)

    @holds(Guarantee.WATERMARKS)
    async def test_progress_never_runs_ahead_of_the_rows_that_it_covers(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        async def write() -> None:
            for n in range(_ROUNDS):
                await store.commit([thing(f"row {n}")], update(claim, first=n + 1))

        writing = asyncio.ensure_future(write())
        async with asyncio.timeout(_DEADLINE_S):
            while (applied := (await load_one(other.progress)).positions[FIRST]) < _ROUNDS:
                assert await other.count(THINGS.name) >= applied
        await writing

    async def test_data_read_after_progress_is_at_least_as_new(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        async def write() -> None:
            for n in range(_ROUNDS):
                row = thing("a", version=n + 1, revision=n, rank=n + 1)
                await store.commit([row], update(claim, first=n + 1))

        writing = asyncio.ensure_future(write())
        query = Find(collection=THINGS.name, order=(Sort(path="rank"), Sort(path="id")))
        async with asyncio.timeout(_DEADLINE_S):
            while (applied := (await load_one(other.progress)).positions[FIRST]) < _ROUNDS:
                by_id = (await other.get(THINGS.name, ["a"])).values()
                found = await other.find(query)
                versions = [row.version for row in (*by_id, *found)]
                assert len(versions) == 2 or applied == 0
                assert min(versions, default=0) >= applied
        await writing

    async def test_what_was_committed_is_read_at_once(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        for n in range(_ROUNDS):
            await store.commit([thing("a", revision=n, n=n)], update(claim))
            assert (await store.get(THINGS.name, ["a"]))["a"].document["n"] == n

    async def test_a_commit_wakes_whoever_waits_on_another_handle(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await other.progress.wait_for_change(timeout_ms=1)
        waiting = asyncio.ensure_future(
            other.progress.wait_for_change(timeout_ms=_DEADLINE_S * 2000)
        )
        await store.commit([thing("a")], update(claim, first=1))
        await asyncio.wait_for(waiting, _DEADLINE_S)

    async def test_events_of_saves_and_of_commits_add_up(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        await store.progress.save(update(claim, events=3, first=3))
        await store.commit([], update(claim, events=4, second=4))
        await store.commit([thing("a")], update(claim, events=2))
        assert (await load_one(store.progress)).events_applied == 9

    @holds(Guarantee.IDEMPOTENCE)
    async def test_a_commit_repeated_after_an_unknown_outcome_changes_nothing(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await store.commit([thing("old")], update(claim, events=1, first=1))
        rows = [thing("old", version=2, revision=1), thing("new")]
        await store.commit(rows, update(claim, events=2, first=3))
        before = (await other.get(THINGS.name, ["old", "new"]), await load_one(other.progress))
        with pytest.raises(ConflictError):
            await store.commit(rows, update(claim, events=2, first=3))
        after = (await other.get(THINGS.name, ["old", "new"]), await load_one(other.progress))
        assert after == before

    async def test_a_cancelled_commit_leaves_all_or_nothing(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        for n in range(_ROUNDS):
            rows = [thing(f"{n} a"), thing(f"{n} b")]
            committing = asyncio.ensure_future(store.commit(rows, update(claim, first=n + 1)))
            await asyncio.wait([committing], timeout=n / 4000)
            committing.cancel()
            await asyncio.wait([committing])
            applied = (await load_one(other.progress)).positions[FIRST]
            found = await other.get(THINGS.name, [f"{n} a", f"{n} b"])
            assert len(found) == 2 if applied == n + 1 else len(found) in {0, 2}
        await store.commit([thing("last")], update(claim, first=_ROUNDS + 1))

    async def test_projectors_that_overlap_lose_no_write(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        async def add_one(handle: DocumentStore) -> None:
            with contextlib.suppress(ConflictError):
                row = (await handle.get(THINGS.name, ["a"])).get("a")
                revision, n = (row.revision, row.document["n"]) if row else (0, 0)
                await handle.commit(
                    [thing("a", version=n + 1, revision=revision, n=n + 1)], update(claim)
                )
                return
            await add_one(handle)

        async def add_many(handle: DocumentStore) -> None:
            for _ in range(_ROUNDS):
                await add_one(handle)

        async with asyncio.timeout(_DEADLINE_S):
            await asyncio.gather(add_many(store), add_many(other))
        row = (await store.get(THINGS.name, ["a"]))["a"]
        assert (row.version, row.revision, row.document["n"]) == (2 * _ROUNDS,) * 3

    async def test_of_two_commits_on_one_row_exactly_one_wins(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        for revision in range(_ROUNDS):
            outcomes = await asyncio.gather(
                store.commit([thing("a", revision=revision, by="store")], update(claim)),
                other.commit([thing("a", revision=revision, by="other")], update(claim)),
                return_exceptions=True,
            )
            winners = [
                by for by, lost in zip(("store", "other"), outcomes, strict=True) if not lost
            ]
            assert [type(lost) for lost in outcomes if lost] == [ConflictError]
            row = (await store.get(THINGS.name, ["a"]))["a"]
            assert (row.revision, [row.document["by"]]) == (revision + 1, winners)

    @_law
    @given(content=_json)
    async def test_a_document_comes_back_as_it_was_written(
        self, store: DocumentStore, claim: Claim, content: Any
    ) -> None:
        name = f"document {next(_numbers)}"
        await store.commit([thing(name, content=content)], update(claim))
        found = (await store.get(THINGS.name, [name]))[name].document
        assert found == {"id": name, "content": content}
        assert repr(found["content"]) == repr(content)

    @pytest.mark.parametrize(
        "key", ["", "$", "$set", "$ref", "a.b", ".", "a.", "%", "%24", "%2E", "_id", "é", " "]
    )
    async def test_keys_may_be_any_text(self, store: DocumentStore, claim: Claim, key: str) -> None:
        content = {key: 1, "a": [{key: {key: key, "$id": [key]}}], "z": {}}
        await store.commit([thing("a", content=content)], update(claim))
        await store.commit([thing("a", revision=1, content=content)], update(claim))
        found = (await store.get(THINGS.name, ["a"]))["a"].document
        assert repr(found["content"]) == repr(content)

    @pytest.mark.parametrize("number", [2**31, 2**53 + 1, 2**63 - 1, -(2**63)])
    async def test_integers_of_64_bits_survive(
        self, store: DocumentStore, claim: Claim, number: int
    ) -> None:
        await store.commit([thing("a", rank=number)], update(claim))
        found = (await store.get(THINGS.name, ["a"]))["a"].document
        assert (found["rank"], type(found["rank"])) == (number, int)
        where = (Condition(path="rank", operator=Operator.EQUAL, value=number),)
        assert await store.count(THINGS.name, where) == 1

    @pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800", object()])
    async def test_what_cannot_be_stored_is_poison_and_leaves_nothing(
        self, store: DocumentStore, claim: Claim, value: object
    ) -> None:
        with pytest.raises(PoisonousEventError, match="row b of contract_things"):
            await store.commit([thing("a"), thing("b", value=[value])], update(claim, first=1))
        assert await store.get(THINGS.name, ["a", "b"]) == {}
        assert (await load_one(store.progress)).positions[FIRST] == 0

    async def test_a_value_taken_in_a_unique_index_is_poison_and_leaves_nothing(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        await store.prepare([NAMES])
        rows = [thing(id, collection=NAMES.name, name="Ada") for id in ("a", "b")]  # noqa: A001
        with pytest.raises(PoisonousEventError):
            await store.commit(rows, update(claim, first=1))
        assert await store.count(NAMES.name) == 0
        await store.commit(rows[:1], update(claim, first=1))
        replaced = thing("a", collection=NAMES.name, revision=1, name="Ada")
        for taken in (rows[1:], [replaced, *rows[1:]]):
            with pytest.raises(PoisonousEventError):
                await store.commit(taken, update(claim, first=2))

    async def test_a_unique_value_is_not_taken_by_invisible_rows(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        await store.prepare([NAMES])
        for id in ("a", "b"):  # noqa: A001
            row = thing(id, collection=NAMES.name, version=0, name="Ada")
            await store.commit([row], update(claim))
        assert len(await store.get(NAMES.name, ["a", "b"])) == 2

    async def test_ids_may_be_any_text(self, store: DocumentStore, claim: Claim) -> None:
        ids = ["Ærøskøbing", "日本語", "😀", 'a"b', "a'b", "a\\b", "$a.b", " ", "%", "A", "a"]
        await store.commit([thing(name) for name in ids], update(claim))
        assert set(await store.get(THINGS.name, [*ids, "missing"])) == set(ids)
        assert [row.id for row in await store.find(Find(collection=THINGS.name))] == sorted(ids)

    async def test_many_rows_are_written_and_read_at_once(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        ids = [f"{n:05}" for n in range(2000)]
        await store.commit([thing(name) for name in ids], update(claim))
        assert sorted(await store.get(THINGS.name, ids)) == ids
        assert await store.get(THINGS.name, []) == {}

    async def test_preparing_again_keeps_the_rows(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await store.commit([thing("a")], update(claim))
        await asyncio.gather(store.prepare([THINGS]), other.prepare([THINGS]))
        assert await store.count(THINGS.name) == 1

    async def test_a_dropped_collection_is_not_taken_for_an_empty_one(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await store.commit([thing("a")], update(claim))
        await other.require(THINGS.name)
        await store.drop([THINGS.name])
        reads: dict[str, Callable[[], Awaitable[Any]]] = {
            "find": lambda: other.find(Find(collection=THINGS.name)),
            "count": lambda: other.count(THINGS.name),
        }
        for read in reads.values():
            with contextlib.suppress(UnknownCollectionError):  # or it finds nothing
                assert not await read()
        with pytest.raises(UnknownCollectionError):
            await other.get(THINGS.name, ["a"])
        with pytest.raises(UnknownCollectionError, match=f"collection {THINGS.name} does not"):
            await other.require(THINGS.name)

    async def test_what_is_written_into_a_dropped_collection_is_not_taken_for_all_of_it(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        """An engine may make a collection that is written to and does not exist."""
        await store.commit([thing("a")], update(claim))
        await store.drop([THINGS.name])
        with contextlib.suppress(StructuralError):  # or it is written
            await store.commit([thing("b")], update(claim))
        for handle in (store, other):
            with pytest.raises(UnknownCollectionError):
                await handle.require(THINGS.name)
            with pytest.raises(UnknownCollectionError):
                await handle.get(THINGS.name, ["b"])

    async def test_a_dropped_collection_is_empty_when_it_is_prepared_anew(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        await store.commit([thing("a")], update(claim))
        await store.drop([THINGS.name, "contract_unheard_of"])
        await store.prepare([THINGS])
        assert await store.count(THINGS.name) == 0
        await store.commit([thing("a")], update(claim))


_SHELF: list[Document] = [
    {"rank": 1, "label": "apple", "shelf": "low", "owner": {"name": "Ada"}},
    {"rank": 2, "label": "Apple", "shelf": "low", "owner": {"name": "Bob"}},
    {"rank": 2, "label": "apricot", "shelf": "high", "owner": {"name": "Ada"}},
    {"rank": 3, "label": "äpfel", "shelf": "mid", "owner": {"name": "Eve"}},
    {"rank": 10, "label": "ap%", "shelf": None, "owner": {"name": "ada"}},
]
_OPERATORS = [
    ("rank", Operator.EQUAL, 2, [1, 2]),
    ("label", Operator.EQUAL, "apple", [0]),
    ("owner.name", Operator.EQUAL, "Ada", [0, 2]),
    ("shelf", Operator.EQUAL, None, [4]),
    ("id", Operator.EQUAL, "3", [3]),
    ("shelf", Operator.ANY_OF, ["low"], [0, 1]),
    ("shelf", Operator.ANY_OF, ["mid", "low", "low"], [0, 1, 3]),
    ("shelf", Operator.ANY_OF, [], []),
    ("rank", Operator.ANY_OF, list(range(2, 40)), [1, 2, 3, 4]),
    ("id", Operator.ANY_OF, ["4", "0", "9"], [0, 4]),
    ("rank", Operator.AT_LEAST, 3, [3, 4]),
    ("rank", Operator.BELOW, 2, [0]),
    ("label", Operator.AT_LEAST, "apricot", [2, 3]),
    ("label", Operator.BELOW, "ap", [1]),
    ("label", Operator.STARTS_WITH, "ap", [0, 2, 4]),
    ("label", Operator.STARTS_WITH, "ap%", [4]),
    ("label", Operator.STARTS_WITH, "ä", [3]),
    ("label", Operator.STARTS_WITH, "", [0, 1, 2, 3, 4]),
    ("owner.name", Operator.STARTS_WITH, "A", [0, 2]),
]


class FindContract(_Stores):
    """Conditions, order, pages and counts."""

    @pytest.fixture
    async def shelf(self, store: DocumentStore, claim: Claim) -> DocumentStore:
        rows = [thing(str(n), **fields) for n, fields in enumerate(_SHELF)]
        await store.commit(rows, update(claim))
        return store

    @pytest.mark.parametrize(("path", "operator", "value", "expected"), _OPERATORS)
    async def test_an_operator_finds_and_counts_what_it_describes(
        self, shelf: DocumentStore, path: str, operator: Operator, value: Any, expected: list[int]
    ) -> None:
        where = (Condition(path=path, operator=operator, value=value),)
        found = await shelf.find(Find(collection=THINGS.name, where=where))
        assert [int(row.id) for row in found] == expected
        assert await shelf.count(THINGS.name, where) == len(expected)

    async def test_all_conditions_must_hold(self, shelf: DocumentStore) -> None:
        where = (
            Condition(path="rank", operator=Operator.AT_LEAST, value=2),
            Condition(path="rank", operator=Operator.BELOW, value=10),
            Condition(path="shelf", operator=Operator.ANY_OF, value=["low", "high"]),
            Condition(path="label", operator=Operator.STARTS_WITH, value="ap"),
        )
        assert [row.id for row in await shelf.find(Find(collection=THINGS.name, where=where))] == [
            "2"
        ]
        assert await shelf.count(THINGS.name, where) == 1

    async def test_several_values_keep_the_order(self, shelf: DocumentStore) -> None:
        query = Find(
            collection=THINGS.name,
            where=(Condition(path="shelf", operator=Operator.ANY_OF, value=["low", "high"]),),
            order=(Sort(path="rank", descending=True), Sort(path="id", descending=True)),
            limit=2,
        )
        assert [row.id for row in await shelf.find(query)] == ["2", "1"]
        assert [row.id for row in await page_through(shelf, query)] == ["2", "1", "0"]

    async def test_a_row_of_version_zero_is_invisible_until_its_own_event(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        where = (Condition(path="label", operator=Operator.EQUAL, value="x"),)
        query = Find(collection=THINGS.name, where=where)
        await store.commit([thing("a", version=0, label="x")], update(claim))
        assert (await store.get(THINGS.name, ["a"]))["a"].version == 0
        assert (await store.find(query), await store.count(THINGS.name, where)) == ([], 0)
        await store.commit([thing("a", version=1, revision=1, label="x")], update(claim))
        assert [row.revision for row in await store.find(query)] == [2]
        assert await store.count(THINGS.name, where) == 1

    async def test_a_found_row_is_the_row_that_get_returns(self, shelf: DocumentStore) -> None:
        found = await shelf.find(Find(collection=THINGS.name))
        assert {row.id: row for row in found} == await shelf.get(THINGS.name, list("01234"))

    @pytest.mark.parametrize(
        "path", ["", "a'b", "a b", "$where", "a..b", ".a", "a.", "a\n", "a) OR 1=1 --", "A-Z"]
    )
    async def test_a_path_that_is_none_is_refused(self, store: DocumentStore, path: str) -> None:
        where = (Condition(path=path, operator=Operator.EQUAL, value=1),)
        with pytest.raises(StructuralError):
            await store.find(Find(collection=THINGS.name, where=where))
        with pytest.raises(StructuralError):
            await store.find(Find(collection=THINGS.name, order=(Sort(path=path),)))
        with pytest.raises(StructuralError):
            await store.count(THINGS.name, where)

    async def test_an_empty_page_is_asked_for_in_vain(self, shelf: DocumentStore) -> None:
        assert await shelf.find(Find(collection=THINGS.name, limit=0)) == []

    async def test_hostile_values_are_only_values(self, shelf: DocumentStore) -> None:
        for value in ["' OR 1=1 --", '"; DROP TABLE x', "$ne", "%", "*", "\\", "{}"]:
            where = (Condition(path="label", operator=Operator.EQUAL, value=value),)
            assert await shelf.count(THINGS.name, where) == 0
        assert await shelf.count(THINGS.name) == len(_SHELF)

    @_law
    @given(
        ranks=st.lists(st.integers(0, 3), max_size=12),
        limit=st.integers(1, 5),
        descending=st.booleans(),
    )
    async def test_paging_is_sorting_however_many_values_are_equal(
        self, store: DocumentStore, claim: Claim, ranks: list[int], limit: int, descending: bool
    ) -> None:
        shelf = f"shelf {next(_numbers)}"
        writes = [thing(f"{shelf} {n}", shelf=shelf, rank=rank) for n, rank in enumerate(ranks)]
        await store.commit(writes, update(claim))
        query = Find(
            collection=THINGS.name,
            where=(Condition(path="shelf", operator=Operator.EQUAL, value=shelf),),
            order=(
                Sort(path="rank", descending=descending),
                Sort(path="id", descending=descending),
            ),
            limit=limit,
        )
        paged = [(row.document["rank"], row.id) for row in await page_through(store, query)]
        expected = [(write.document["rank"], write.id) for write in writes]
        assert paged == sorted(expected, reverse=descending)

    @_law
    @given(labels=st.lists(_texts, max_size=8), text=_texts)
    @example(labels=["\ud7ff", "\ud7ffa", "\ue000"], text="\ud7ff")
    @example(labels=["a\U0010ffff", "a\U0010ffffb", "b"], text="a\U0010ffff")
    async def test_text_compares_by_code_points(
        self, store: DocumentStore, claim: Claim, labels: list[str], text: str
    ) -> None:
        shelf = f"shelf {next(_numbers)}"
        writes = [thing(f"{shelf} {n}", shelf=shelf, label=label) for n, label in enumerate(labels)]
        await store.commit(writes, update(claim))
        laws: dict[Operator, Callable[[str], bool]] = {
            Operator.EQUAL: lambda label: label == text,
            Operator.AT_LEAST: lambda label: label >= text,
            Operator.BELOW: lambda label: label < text,
            Operator.STARTS_WITH: lambda label: label.startswith(text),
        }
        for operator, law in laws.items():
            where = (
                Condition(path="shelf", operator=Operator.EQUAL, value=shelf),
                Condition(path="label", operator=operator, value=text),
            )
            order = (Sort(path="label"), Sort(path="id"))
            found = await store.find(Find(collection=THINGS.name, where=where, order=order))
            assert [row.document["label"] for row in found] == sorted(filter(law, labels))
            assert await store.count(THINGS.name, where) == len(found)


class DocumentStoreContract(CommitContract, FindContract, AdapterContract):
    """Everything that a document store must do."""
