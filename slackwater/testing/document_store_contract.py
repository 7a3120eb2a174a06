"""What every document store must do, to be inherited by the tests of each adapter.

A subclass provides a fixture `open_store`: an async function that opens one more handle on the same
data, which is empty when a test begins, and closes all handles when the test ends.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from slackwater.errors import ConflictError, FencedError, StructuralError
from slackwater.event_log.port import TopicPartition
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
)
from slackwater.read_models.progress import (
    ActiveVersionError,
    Claim,
    ModelVersion,
    ProgressUpdate,
    ReadModelProgress,
    ReadModelState,
)

OpenStore = Callable[[], Awaitable[DocumentStore]]

READ_MODEL = ModelVersion("things")
OTHERS = ModelVersion("others", 7)
NEXT = ModelVersion("things", 2)
THINGS = Collection(
    name="contract_things",
    indexes=(
        Index(paths=("rank", "id")),
        Index(paths=("shelf", "rank", "id")),
        Index(paths=("label", "id")),
        Index(paths=("owner.name", "id")),
    ),
)
FIRST = TopicPartition("things.events", 0)
SECOND = TopicPartition("things.events", 1)

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


def thing(id: str, *, version: int = 1, revision: int = 0, **fields: Any) -> RowWrite:  # noqa: A002
    """Return a row to write; `revision` is the expected one."""
    return RowWrite(
        collection=THINGS.name,
        id=id,
        version=version,
        expected_revision=revision,
        document={"id": id, **fields},
    )


def update(claim: Claim, events: int = 0, **positions: int) -> ProgressUpdate:
    """Return an update of the partitions `first` and `second`."""
    partitions = {"first": FIRST, "second": SECOND}
    return ProgressUpdate(
        claim=claim,
        positions={partitions[name]: position for name, position in positions.items()},
        events_applied=events,
    )


async def load_one(store: DocumentStore, model: ModelVersion = READ_MODEL) -> ReadModelProgress:
    """Return the progress of one read model."""
    [found] = [p for p in await store.progress.load() if p.model == model]
    return found


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


class ProgressContract(_Stores):
    """Claims, fences, positions and states."""

    async def test_nothing_is_known_of_an_empty_store(self, open_store: OpenStore) -> None:
        assert await (await open_store()).progress.load() == []

    async def test_a_registered_read_model_runs_with_nothing_applied(
        self, store: DocumentStore
    ) -> None:
        assert await store.progress.load() == [
            ReadModelProgress(
                model=READ_MODEL,
                active=True,
                state=ReadModelState.RUNNING,
                reason=None,
                positions={},
                events_applied=0,
            )
        ]

    async def test_registering_again_keeps_what_is_there(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        await store.progress.save(update(claim, events=3, first=5))
        before = await load_one(store)
        await store.progress.register(READ_MODEL)
        assert await load_one(store) == before

    async def test_all_read_models_are_loaded_apart(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await store.progress.register(OTHERS)
        others = await store.progress.claim(OTHERS, [FIRST])
        await store.progress.save(update(others, first=2))
        await store.progress.save(update(claim, first=9))
        assert (await load_one(other)).positions == {FIRST: 9, SECOND: 0}
        assert (await load_one(other, OTHERS)).positions == {FIRST: 2}

    async def test_a_read_model_must_be_registered_before_it_is_claimed(
        self, store: DocumentStore
    ) -> None:
        with pytest.raises(StructuralError):
            await store.progress.claim(ModelVersion("unheard_of"), [FIRST])

    async def test_a_read_model_must_be_registered_before_it_has_a_state(
        self, store: DocumentStore
    ) -> None:
        with pytest.raises(StructuralError):
            await store.progress.set_state(ModelVersion("unheard_of"), ReadModelState.HALTED)

    async def test_a_state_is_kept_with_its_reason_until_the_next(
        self, store: DocumentStore, other: DocumentStore
    ) -> None:
        await store.progress.set_state(READ_MODEL, ReadModelState.HALTED, "schlimm: 💥")
        halted = await load_one(other)
        assert (halted.state, halted.reason) == (ReadModelState.HALTED, "schlimm: 💥")
        await other.progress.set_state(READ_MODEL, ReadModelState.RUNNING)
        running = await load_one(store)
        assert (running.state, running.reason) == (ReadModelState.RUNNING, None)

    async def test_a_claim_says_where_to_go_on(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        assert claim.positions == {FIRST: 0, SECOND: 0}
        await store.progress.save(update(claim, first=5))
        newer = await other.progress.claim(READ_MODEL, [FIRST, SECOND])
        assert newer.positions == {FIRST: 5, SECOND: 0}

    async def test_each_claim_raises_the_fence(self, store: DocumentStore, claim: Claim) -> None:
        newer = await store.progress.claim(READ_MODEL, [FIRST])
        assert newer.fences == {FIRST: claim.fences[FIRST] + 1}

    async def test_claims_at_the_same_time_get_different_fences(
        self, store: DocumentStore, other: DocumentStore
    ) -> None:
        claims = await asyncio.gather(
            *(handle.progress.claim(READ_MODEL, [FIRST]) for handle in (store, other) * 5)
        )
        assert len({claim.fences[FIRST] for claim in claims}) == len(claims)

    async def test_an_older_claim_is_refused_after_a_newer_one(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        newer = await other.progress.claim(READ_MODEL, [FIRST, SECOND])
        with pytest.raises(FencedError):
            await store.progress.save(update(claim, events=1, first=5))
        assert (await load_one(store)).positions == {FIRST: 0, SECOND: 0}
        assert (await load_one(store)).events_applied == 0
        await other.progress.save(update(newer, first=5))

    async def test_a_newer_claim_leaves_the_other_partitions_alone(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await other.progress.claim(READ_MODEL, [FIRST])
        await store.progress.save(update(claim, second=7))
        assert (await load_one(store)).positions == {FIRST: 0, SECOND: 7}

    async def test_one_stale_fence_refuses_the_whole_update(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await other.progress.claim(READ_MODEL, [SECOND])
        with pytest.raises(FencedError):
            await store.progress.save(update(claim, events=4, first=7, second=7))
        loaded = await load_one(store)
        assert (loaded.positions, loaded.events_applied) == ({FIRST: 0, SECOND: 0}, 0)

    async def test_a_claim_of_another_read_model_fences_nobody(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await other.progress.register(OTHERS)
        await other.progress.claim(OTHERS, [FIRST, SECOND])
        await store.progress.save(update(claim, first=1))

    async def test_a_partition_outside_the_claim_cannot_be_saved(
        self, store: DocumentStore
    ) -> None:
        claim = await store.progress.claim(READ_MODEL, [FIRST])
        with pytest.raises(FencedError):
            await store.progress.save(update(claim, second=1))

    async def test_a_late_save_never_moves_progress_backwards(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        await store.progress.save(update(claim, first=9, second=1))
        await store.progress.save(update(claim, first=4, second=2))
        assert (await load_one(store)).positions == {FIRST: 9, SECOND: 2}

    async def test_applied_events_add_up(self, store: DocumentStore, claim: Claim) -> None:
        await store.progress.save(update(claim, events=3, first=3))
        await store.commit([], update(claim, events=4, second=4))
        assert (await load_one(store)).events_applied == 7

    async def test_a_further_version_is_built_beside_the_active_one(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        await store.progress.register(NEXT)
        built = await store.progress.claim(NEXT, [FIRST])
        await store.progress.save(update(built, events=2, first=3))
        await store.progress.save(update(claim, events=1, first=5))
        being_built = await load_one(store, NEXT)
        assert (being_built.active, being_built.state) == (False, ReadModelState.REBUILDING)
        assert (being_built.positions, being_built.events_applied) == ({FIRST: 3}, 2)
        assert (await load_one(store)).active
        assert (await load_one(store)).positions == {FIRST: 5, SECOND: 0}

    async def test_a_version_is_not_activated_while_it_lacks_a_position(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        await store.progress.register(NEXT)
        built = await store.progress.claim(NEXT, [FIRST, SECOND])
        await store.progress.save(update(claim, first=5, second=1))
        await store.progress.save(update(built, first=9))
        assert not await store.progress.activate(NEXT)
        assert (await load_one(store)).active
        assert (await load_one(store, NEXT)).state is ReadModelState.REBUILDING

    async def test_a_version_that_has_everything_is_activated_in_one_step(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await store.progress.register(NEXT)
        built = await store.progress.claim(NEXT, [FIRST, SECOND])
        await store.progress.save(update(claim, first=5))
        await store.progress.save(update(built, first=5))
        assert await store.progress.activate(NEXT)
        entries = {entry.model: entry.active for entry in await other.progress.load()}
        assert entries == {READ_MODEL: False, NEXT: True}
        assert (await load_one(other, NEXT)).state is ReadModelState.RUNNING

    async def test_a_version_must_be_registered_before_it_is_activated(
        self, store: DocumentStore
    ) -> None:
        with pytest.raises(StructuralError):
            await store.progress.activate(NEXT)

    async def test_a_version_that_readers_left_can_be_forgotten(
        self, store: DocumentStore, claim: Claim
    ) -> None:
        await store.progress.save(update(claim, first=0))
        await store.progress.register(NEXT)
        await store.progress.activate(NEXT)
        await store.progress.forget(READ_MODEL)
        assert [entry.model for entry in await store.progress.load()] == [NEXT]
        with pytest.raises(StructuralError):
            await store.progress.claim(READ_MODEL, [FIRST])

    async def test_the_version_that_readers_use_cannot_be_forgotten(
        self, store: DocumentStore
    ) -> None:
        with pytest.raises(ActiveVersionError):
            await store.progress.forget(READ_MODEL)

    @pytest.mark.parametrize("change", ["save", "commit", "set_state", "register"])
    async def test_a_change_wakes_whoever_waits_on_another_handle(
        self, store: DocumentStore, other: DocumentStore, claim: Claim, change: str
    ) -> None:
        await other.progress.wait_for_change(timeout_ms=1)
        waiting = asyncio.ensure_future(
            other.progress.wait_for_change(timeout_ms=_DEADLINE_S * 2000)
        )
        changes: dict[str, Callable[[], Awaitable[None]]] = {
            "save": lambda: store.progress.save(update(claim, first=1)),
            "commit": lambda: store.commit([thing("a")], update(claim, first=1)),
            "set_state": lambda: store.progress.set_state(READ_MODEL, ReadModelState.REBUILDING),
            "register": lambda: store.progress.register(OTHERS),
        }
        await changes[change]()
        await asyncio.wait_for(waiting, _DEADLINE_S)

    async def test_a_change_between_two_waits_is_not_missed(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await other.progress.wait_for_change(timeout_ms=1)
        await store.progress.save(update(claim, first=1))
        async with asyncio.timeout(_DEADLINE_S):
            await other.progress.wait_for_change(timeout_ms=_DEADLINE_S * 2000)
        assert (await load_one(other)).positions[FIRST] == 1

    async def test_waiting_ends_when_the_time_is_up(self, store: DocumentStore) -> None:
        async with asyncio.timeout(_DEADLINE_S):
            for _ in range(3):
                await store.progress.wait_for_change(timeout_ms=10)


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
    async def test_a_write_on_another_revision_is_refused(
        self, store: DocumentStore, claim: Claim, revision: int
    ) -> None:
        await store.commit([thing("a")], update(claim))
        await store.commit([thing("a", revision=1, label="second")], update(claim))
        with pytest.raises(ConflictError):
            await store.commit([thing("a", revision=revision, label="third")], update(claim))
        assert (await store.get(THINGS.name, ["a"]))["a"].document["label"] == "second"

    async def test_a_commit_with_one_bad_row_leaves_nothing(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await store.commit([thing("b", label="kept")], update(claim))
        with pytest.raises(ConflictError):
            await store.commit(
                [thing("a"), thing("b"), thing("c")], update(claim, events=3, first=3)
            )
        assert set(await other.get(THINGS.name, ["a", "b", "c"])) == {"b"}
        loaded = await load_one(other)
        assert (loaded.positions[FIRST], loaded.events_applied) == (0, 0)

    async def test_a_commit_with_a_stale_fence_leaves_nothing(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        await other.progress.claim(READ_MODEL, [SECOND])
        with pytest.raises(FencedError):
            await store.commit([thing("a")], update(claim, events=2, first=1, second=1))
        assert await other.get(THINGS.name, ["a"]) == {}
        loaded = await load_one(other)
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
        loaded = await load_one(other)
        assert (loaded.positions, loaded.events_applied) == ({FIRST: 2, SECOND: 0}, 2)

    async def test_progress_never_runs_ahead_of_the_rows_that_it_covers(
        self, store: DocumentStore, other: DocumentStore, claim: Claim
    ) -> None:
        async def write() -> None:
            for n in range(_ROUNDS):
                await store.commit([thing(f"row {n}")], update(claim, first=n + 1))

        writing = asyncio.ensure_future(write())
        async with asyncio.timeout(_DEADLINE_S):
            while (applied := (await load_one(other)).positions[FIRST]) < _ROUNDS:
                assert await other.count(THINGS.name) >= applied
        await writing

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
        for operator, holds in laws.items():
            where = (
                Condition(path="shelf", operator=Operator.EQUAL, value=shelf),
                Condition(path="label", operator=operator, value=text),
            )
            order = (Sort(path="label"), Sort(path="id"))
            found = await store.find(Find(collection=THINGS.name, where=where, order=order))
            assert [row.document["label"] for row in found] == sorted(filter(holds, labels))
            assert await store.count(THINGS.name, where) == len(found)


class DocumentStoreContract(ProgressContract, CommitContract, FindContract):
    """Everything that a document store and its progress must do."""
