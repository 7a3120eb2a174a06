"""Rows that a projector keeps: read once, never believed over what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from slackwater.consumer.timelines import Timelines
from slackwater.errors import ConflictError
from slackwater.event_log.port import Record
from slackwater.read_models.documents import Row, RowWrite
from slackwater.read_models.kept_rows import KeptRows
from slackwater.read_models.progress import Claim, ProgressUpdate
from slackwater.read_models.projection import Ref
from slackwater.read_models.projector import Projector
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.target import DocumentTarget
from slackwater.testing.clock import ManualClock
from slackwater.testing.doorbell import LocalDoorbell
from tests.unit.read_models.things import (
    AT,
    COLLECTIONS,
    MODEL,
    PROJECTION,
    event,
    newest_by_topic,
    records,
)

A = Ref("things", "a")
THINGS = MODEL.stored_name("things")


def write(name: str = "a", *, revision: int = 0, **content: object) -> RowWrite:
    return RowWrite(
        collection="things",
        id=name,
        version=revision + 1,
        expected_revision=revision,
        document={"id": name, **content},
    )


def test_a_row_is_kept_as_its_write_left_it_and_taken_once() -> None:
    kept = KeptRows()
    kept.put([write(revision=4, label="x", parts=[1, {"n": None}])])
    document = {"id": "a", "label": "x", "parts": [1, {"n": None}]}
    assert kept.take([A, Ref("others", "a")]) == {
        A: Row(id="a", version=5, revision=5, document=document)
    }
    assert kept.take([A]) == {}


def test_a_kept_row_shares_nothing_with_another() -> None:
    kept, part = KeptRows(), {"n": 1}
    kept.put([write("a", part=part), write("b", part=part)])
    rows = kept.take([A, Ref("things", "b")])
    rows[A].document["part"]["n"] = 2
    assert part == rows[Ref("things", "b")].document["part"] == {"n": 1}


def test_what_was_used_longest_ago_goes_when_there_is_no_more_room() -> None:
    kept = KeptRows(bytes_max=3_000)
    for name in "abc":
        kept.put([write(name, text="x" * 900)])
    kept.put([write("a", revision=1, text="x" * 900), write("d", text="x" * 900)])
    assert [name for name in "abcd" if kept.take([Ref("things", name)])] == ["a", "c", "d"]
    kept.put([write("b", text="x" * 4_000)])
    assert kept.take([Ref("things", "b")]) == {}


class Loading(DocumentTarget):
    """Notes which rows it was asked for."""

    def __init__(self, documents: SqliteDocumentStore) -> None:
        super().__init__(MODEL, COLLECTIONS, documents)
        self.loaded: list[str] = []

    async def load(self, collection: str, ids: Sequence[str]) -> Mapping[str, Row]:
        self.loaded += [name for name in ids if collection == "things"]
        return await super().load(collection, ids)


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[SqliteDocumentStore]:
    documents = SqliteDocumentStore(tmp_path / "documents.db", LocalDoorbell())
    await documents.prepare(COLLECTIONS)
    await documents.progress.register(MODEL)
    yield documents
    await documents.close()


@pytest.fixture
async def target(documents: SqliteDocumentStore) -> Loading:
    target = Loading(documents)
    await target.prepare()
    return target


@pytest.fixture
async def projector(documents: SqliteDocumentStore, target: Loading) -> Projector:
    projector = Projector(
        PROJECTION,
        target=target,
        progress=documents.progress,
        timelines=Timelines(newest_by_topic),
        clock=ManualClock(),
    )
    await projector.assigned([AT])
    return projector


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
    documents: SqliteDocumentStore, target: Loading, projector: Projector
) -> None:
    for record in history(3):
        await projector.handle([record])
    assert target.loaded == ["a"]
    assert await stored(documents) == (3, [10, 11, 12])


async def test_a_row_that_somebody_else_wrote_is_read_again(
    documents: SqliteDocumentStore, target: Loading, projector: Projector
) -> None:
    first, _, third = history(3)
    await projector.handle([first])
    await write_beside(documents, version=2, revision=1)
    await projector.handle([third])
    assert target.loaded == ["a", "a"]
    assert (await stored(documents), await parked(documents)) == ((3, [10, 11, 12]), 0)


async def test_a_write_on_an_old_row_is_refused_and_tried_again_on_the_new_one(
    documents: SqliteDocumentStore, projector: Projector
) -> None:
    first, second, third = history(3)
    await projector.handle([first])
    await write_beside(documents, version=2, revision=1)
    with pytest.raises(ConflictError):
        await projector.handle([second])
    await projector.handle([second])
    await projector.handle([third])
    assert await stored(documents) == (3, [10, 11, 12])


async def test_nothing_is_kept_beyond_an_assignment(target: Loading, projector: Projector) -> None:
    first, second = history(2)
    await projector.handle([first])
    await projector.assigned([AT])
    await projector.handle([second])
    assert target.loaded == ["a", "a"]
