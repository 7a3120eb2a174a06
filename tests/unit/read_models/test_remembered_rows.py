"""Rows that a projector remembers: read once, never believed over what is stored."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slackwater.errors import TransientError
from slackwater.event_log.port import Record
from slackwater.read_models.documents import Row, RowWrite
from slackwater.read_models.progress import Claim, ProgressUpdate
from slackwater.read_models.projection import Ref
from slackwater.read_models.projector import Projector
from slackwater.read_models.remembered_rows import RememberedRows
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.sqlite_search import SqliteSearchIndex
from slackwater.read_models.target import DocumentTarget, SearchTarget, Target
from tests.unit.read_models.assigned import projecting_into
from tests.unit.read_models.things import (
    AT,
    COLLECTIONS,
    INDEX,
    MODEL,
    PROJECTION,
    SEARCHED,
    event,
    records,
)

A, B = Ref("things", "a"), Ref("things", "b")
THINGS = MODEL.stored_name("things")


def write(name: str = "a", *, revision: int = 0, **content: object) -> RowWrite:
    return RowWrite(
        collection="things",
        id=name,
        version=revision + 1,
        expected_revision=revision,
        document={"id": name, **content},
    )


def test_a_row_is_remembered_as_its_write_left_it_and_recalled_once() -> None:
    rows = RememberedRows()
    rows.remember([write(revision=4, label="x")])
    assert rows.recall([A, Ref("others", "a")]) == {
        A: Row(id="a", version=5, revision=5, document={"id": "a", "label": "x"})
    }
    assert rows.recall([A]) == {}


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(_json)
def test_any_document_comes_back_as_it_was(content: object) -> None:
    rows = RememberedRows()
    rows.remember([write(content=content)])
    recalled = rows.recall([A])[A].document["content"]
    assert (recalled, repr(recalled)) == (content, repr(content))


def test_a_recalled_row_shares_nothing_with_another() -> None:
    rows, part = RememberedRows(), {"n": 1}
    rows.remember([write("a", part=part), write("b", part=part)])
    recalled = rows.recall([A, B])
    recalled[A].document["part"]["n"] = 2
    assert part == recalled[B].document["part"] == {"n": 1}


def test_what_was_written_longest_ago_goes_when_there_is_no_more_room() -> None:
    rows = RememberedRows(bytes_max=4_500)
    for name in "abc":
        rows.remember([write(name, text="x" * 900)])
    rows.remember([write("a", revision=1, text="x" * 900), write("d", text="x" * 900)])
    assert [name for name in "abcd" if rows.recall([Ref("things", name)])] == ["a", "c", "d"]


def test_small_rows_take_room_too() -> None:
    rows = RememberedRows(bytes_max=4_500)
    refs = [Ref("things", str(n)) for n in range(20)]
    rows.remember([write(ref.id) for ref in refs])
    assert len(rows.recall(refs)) == 8


def test_one_that_has_no_room_leaves_it_to_others() -> None:
    rows = RememberedRows(bytes_max=4_500)
    rows.remember([write("a"), write("b", text="x" * 5_000)])
    assert rows.recall([A, B]).keys() == {A}


def test_rows_of_a_large_batch_are_not_remembered() -> None:
    rows = RememberedRows()
    rows.remember([write(str(n)) for n in range(101)])
    assert rows.recall([Ref("things", "0")]) == {}


def test_what_is_no_plain_json_is_not_remembered() -> None:
    class Sku(str):
        """Stores take it for the string that it is."""

    rows = RememberedRows()
    rows.remember([write("a", sku=Sku("x")), write("b")])
    assert rows.recall([A, B]).keys() == {B}


def test_rows_that_others_write_are_not_remembered() -> None:
    rows = RememberedRows()
    rows.share([A])
    rows.remember([write("a"), write("b")])
    assert rows.recall([A, B]).keys() == {B}


class Loads:
    """Which rows of things a target was asked for."""

    def __init__(self, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
        self._load = AsyncMock(wraps=target.load)
        monkeypatch.setattr(target, "load", self._load)

    @property
    def ids(self) -> list[str]:
        asked = [call.args for call in self._load.await_args_list]
        return [each for collection, ids in asked if collection == "things" for each in ids]


@pytest.fixture
async def target(documents: SqliteDocumentStore) -> DocumentTarget:
    target = DocumentTarget(MODEL, COLLECTIONS, documents)
    await target.prepare()
    return target


@pytest.fixture
def loads(target: DocumentTarget, monkeypatch: pytest.MonkeyPatch) -> Loads:
    return Loads(target, monkeypatch)


@pytest.fixture
async def projector(documents: SqliteDocumentStore, target: DocumentTarget) -> Projector:
    return await projecting_into(target, PROJECTION, documents)


def history(versions: int) -> list[Record]:
    return records(*(event("a", n + 1, 10 + n) for n in range(versions)))


async def write_beside(documents: SqliteDocumentStore, *, version: int, revision: int) -> None:
    """Write as somebody does who replays, whom no claim fences off."""
    seen = [10 + n for n in range(version)]
    row = RowWrite(
        collection=THINGS,
        id="a",
        version=version,
        expected_revision=revision,
        document={"id": "a", "seen": seen},
    )
    claim = Claim(model=MODEL, fences={}, positions={})
    await documents.commit([row], ProgressUpdate(claim=claim, positions={}))


async def stored(documents: SqliteDocumentStore) -> tuple[int, list[int]]:
    row = (await documents.get(THINGS, ["a"]))["a"]
    return row.version, row.document["seen"]


async def parked(documents: SqliteDocumentStore) -> int:
    return sum([len(each.holes) for each in await documents.progress.load()])


async def test_what_was_written_is_not_asked_for_again(
    documents: SqliteDocumentStore, loads: Loads, projector: Projector
) -> None:
    for record in history(3):
        await projector.handle([record])
    assert loads.ids == ["a"]
    assert await stored(documents) == (3, [10, 11, 12])


async def test_a_row_that_somebody_else_wrote_is_read_again(
    documents: SqliteDocumentStore, loads: Loads, projector: Projector
) -> None:
    first, _, third = history(3)
    await projector.handle([first])
    await write_beside(documents, version=2, revision=1)
    await projector.handle([third])
    assert loads.ids == ["a", "a"]
    assert (await stored(documents), await parked(documents)) == ((3, [10, 11, 12]), 0)


async def test_a_write_on_an_old_row_is_made_again_on_the_stored_one_at_once(
    documents: SqliteDocumentStore, loads: Loads, projector: Projector
) -> None:
    first, second, third, fourth = history(4)
    await projector.handle([first])
    await write_beside(documents, version=2, revision=1)
    await projector.handle([second, third])
    await projector.handle([fourth])
    assert await stored(documents) == (4, [10, 11, 12, 13])
    assert loads.ids == ["a", "a", "a"]  # and is not remembered any more


async def test_a_row_that_others_write_as_well_is_loaded_until_partitions_are_assigned_anew(
    documents: SqliteDocumentStore, loads: Loads, projector: Projector
) -> None:
    first, second, third, fourth, fifth = history(5)
    await projector.handle([first])
    await write_beside(documents, version=1, revision=1)
    for record in (second, third):
        await projector.handle([record])
    assert loads.ids == ["a", "a", "a"]
    await projector.assigned([AT])
    for record in (fourth, fifth):
        await projector.handle([record])
    assert loads.ids == ["a", "a", "a", "a"]
    assert await stored(documents) == (5, [10, 11, 12, 13, 14])


async def test_only_the_row_that_somebody_else_wrote_is_remembered_no_more(
    documents: SqliteDocumentStore, loads: Loads, projector: Projector
) -> None:
    a, b, another_a, another_b, third_a, third_b = records(
        *(event(name, n + 1, 10 + n) for n in range(3) for name in "ab")
    )
    await projector.handle([a, b])
    await write_beside(documents, version=1, revision=1)
    await projector.handle([another_a, another_b])
    assert sorted(loads.ids) == ["a", "a", "b", "b"]
    await projector.handle([third_a, third_b])
    assert sorted(loads.ids) == ["a", "a", "a", "b", "b"]


async def test_a_commit_that_failed_leaves_nothing_remembered(
    target: DocumentTarget, loads: Loads, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, another_a, another_b = records(
        event("a", 1, 10), event("b", 1, 20), event("a", 2, 11), event("b", 2, 21)
    )
    await projector.handle([a, b])
    with monkeypatch.context() as patched:
        patched.setattr(target, "commit", AsyncMock(side_effect=TransientError("away")))
        with pytest.raises(TransientError):
            await projector.handle([another_a])
    await projector.handle([another_b])
    assert sorted(loads.ids) == ["a", "b", "b"]


async def test_nothing_is_remembered_beyond_an_assignment(
    loads: Loads, projector: Projector
) -> None:
    first, second = history(2)
    await projector.handle([first])
    await projector.assigned([AT])
    await projector.handle([second])
    assert loads.ids == ["a", "a"]


async def test_a_row_of_a_search_index_is_loaded_for_each_batch(
    documents: SqliteDocumentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = SqliteSearchIndex(tmp_path / "search.db")
    target = SearchTarget(MODEL, INDEX, search, documents.progress)
    await target.prepare()
    loads = Loads(target, monkeypatch)
    projector = await projecting_into(target, SEARCHED, documents)
    for record in history(3):
        await projector.handle([record])
    await target.settled()
    assert loads.ids == ["a", "a", "a"]
    await search.close()
