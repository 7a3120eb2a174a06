"""What a search target does before it saves progress, seen on the embedded index."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from slackwater.clock import SystemClock
from slackwater.consumer.timelines import Timelines
from slackwater.errors import FencedError, TransientError
from slackwater.event_log.port import TopicPartition
from slackwater.manifest import Manifest
from slackwater.read_models.documents import Collection, RowWrite, UnknownCollectionError
from slackwater.read_models.progress import ModelVersion, ProgressUpdate, ReadModelState
from slackwater.read_models.projector import Projector
from slackwater.read_models.search import (
    LostWritesError,
    SavedStamp,
    UnindexableRowError,
    UnknownIndexError,
    no_stamp,
)
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.sqlite_search import SqliteSearchIndex
from slackwater.read_models.target import DocumentTarget, LostRowsError, SearchTarget
from slackwater.testing.doorbell import LocalDoorbell
from slackwater.testing.search_index_contract import INDEX, entry
from slackwater.watermarks.record import Watermark
from tests.unit.read_models.assigned import projecting_into
from tests.unit.read_models.things import AT, SEARCHED

_FIRST = TopicPartition("things", 0)
_THINGS = ModelVersion("things")


class _RecordingIndex(SqliteSearchIndex):
    """Writes down what was asked of it, and fails when told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.steps: list[str] = []
        self.confirmed: list[dict[str, int]] = []
        self.saved: list[str | None] = []
        self.stamp = ""
        self.fails = False
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, index: str, rows: Sequence[RowWrite]) -> None:
        self.steps.append("write")
        await super().write(index, rows)

    async def confirm(self, index: str, read: Mapping[str, int]) -> None:
        self.steps.append("confirm")
        self.confirmed.append(dict(read))

    async def refresh(self, index: str, saved: SavedStamp = no_stamp) -> str:
        self.steps.append("refresh")
        self.saved.append(await saved())
        if self.fails:
            raise TransientError("away; try again")
        if self.failure is not None:
            raise self.failure
        await self.gate.wait()
        return self.stamp


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[_RecordingIndex]:
    index = _RecordingIndex(tmp_path / "search.db")
    yield index
    await index.close()


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[SqliteDocumentStore]:
    documents = SqliteDocumentStore(tmp_path / "documents.db", LocalDoorbell())
    await documents.progress.register(_THINGS)
    yield documents
    await documents.close()


@pytest.fixture
async def target(index: _RecordingIndex, documents: SqliteDocumentStore) -> SearchTarget:
    target = SearchTarget(_THINGS, INDEX, index, documents.progress)
    await target.prepare()
    return target


@pytest.fixture
async def progress(documents: SqliteDocumentStore) -> ProgressUpdate:
    claim = await documents.progress.claim(_THINGS, [_FIRST])
    return ProgressUpdate(claim=claim, positions={_FIRST: 7})


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


async def _commit_and_hold(
    index: _RecordingIndex, target: SearchTarget, progress: ProgressUpdate
) -> None:
    """Commit a row, and keep its refresh from ending until the gate is opened."""
    index.gate.clear()
    await target.commit([entry("a", "Tea")], progress)
    await until(lambda: index.steps == ["write", "refresh"])


async def _nothing_known() -> dict[str, Watermark]:
    return {}


async def _position(documents: SqliteDocumentStore) -> int:
    [found] = await documents.progress.load()
    return found.positions[_FIRST]


async def test_an_index_that_is_lost_is_never_made_anew_under_its_progress(
    index: _RecordingIndex,
    documents: SqliteDocumentStore,
    target: SearchTarget,
    progress: ProgressUpdate,
) -> None:
    await target.prepare()  # nothing was applied yet: that may be done again and again
    await target.commit([entry("a", "Tea")], progress)
    await target.settled()
    await target.prepare()
    await target.drop()
    with pytest.raises(LostRowsError, match="slackwater rebuild things"):
        await target.prepare()
    with pytest.raises(UnknownIndexError):
        await index.count(INDEX.name + "_v1")
    next_version = ModelVersion("things", 2)
    await documents.progress.register(next_version)
    await SearchTarget(next_version, INDEX, index, documents.progress).prepare()


async def test_a_collection_that_is_lost_is_never_made_anew_under_its_progress(
    documents: SqliteDocumentStore, progress: ProgressUpdate
) -> None:
    target = DocumentTarget(_THINGS, [Collection(name="things")], documents)
    await target.prepare()
    await target.commit([], progress)
    await target.prepare()
    await target.drop()
    with pytest.raises(LostRowsError, match="slackwater rebuild things"):
        await target.prepare()
    with pytest.raises(UnknownCollectionError):
        await documents.require("things_v1")


async def test_rows_come_first_then_a_refresh_then_progress(
    index: _RecordingIndex,
    documents: SqliteDocumentStore,
    target: SearchTarget,
    progress: ProgressUpdate,
) -> None:
    await target.commit([entry("a", "Tea"), entry("b", "Tea")], progress)
    await target.settled()
    assert index.steps == ["write", "refresh"]
    assert await _position(documents) == 7


async def test_what_is_merged_while_a_refresh_lasts_keeps_the_timelines_of_all(
    index: _RecordingIndex, documents: SqliteDocumentStore, target: SearchTarget
) -> None:
    second = TopicPartition("things", 1)
    claim = await documents.progress.claim(_THINGS, [_FIRST, second])
    await _commit_and_hold(index, target, ProgressUpdate(claim=claim, positions={_FIRST: 1}))
    for at in (_FIRST, second):
        named = ProgressUpdate(claim=claim, positions={at: 2}, timelines={at: "first"})
        await target.commit([entry("a", "Tea")], named)
    index.gate.set()
    await target.settled()
    [found] = await documents.progress.load()
    assert found.timelines == {_FIRST: "first", second: "first"}


async def test_what_was_only_read_is_refreshed_before_progress_covers_it(
    index: _RecordingIndex, target: SearchTarget, progress: ProgressUpdate
) -> None:
    await target.load(INDEX.name, ["a"])
    await target.commit([], progress)
    await target.settled()
    assert index.steps == ["refresh"]


async def test_what_was_only_read_is_confirmed_as_it_was_read_and_then_refreshed(
    index: _RecordingIndex, target: SearchTarget, progress: ProgressUpdate
) -> None:
    await target.commit([entry("a", "Tea"), entry("b", "Tea")], progress)
    await target.settled()
    index.steps.clear()
    read = await target.load(INDEX.name, ["a", "b", "c"])
    read["a"].document["title"] = "changed by a rule"
    await target.commit([entry("b", "Milk", version=2)], progress)
    await target.settled()
    assert index.steps == ["write", "confirm", "refresh"]
    await target.commit([], progress)
    assert index.confirmed == [{"a": 1}]


async def test_what_a_batch_has_read_that_failed_is_not_confirmed_with_the_next(
    index: _RecordingIndex, target: SearchTarget, progress: ProgressUpdate
) -> None:
    await target.commit([entry("a", "Tea")], progress)
    await target.load(INDEX.name, ["a"])
    unindexable = entry("b", "Tea")
    unindexable.document["title"] = 7
    with pytest.raises(UnindexableRowError):
        await target.commit([unindexable], progress)
    await target.commit([], progress)
    await target.load(INDEX.name, ["a"])
    await target.abandon()
    await target.commit([], progress)
    assert index.confirmed == []


async def test_nothing_read_or_written_needs_no_refresh(
    index: _RecordingIndex,
    documents: SqliteDocumentStore,
    target: SearchTarget,
    progress: ProgressUpdate,
) -> None:
    await target.commit([], progress)
    assert index.steps == []
    assert await _position(documents) == 7


async def test_a_refresh_that_failed_keeps_progress_back_until_one_has_succeeded(
    index: _RecordingIndex,
    documents: SqliteDocumentStore,
    target: SearchTarget,
    progress: ProgressUpdate,
) -> None:
    index.fails = True
    await target.commit([entry("a", "Tea")], progress)
    await until(lambda: index.steps.count("refresh") == 2)
    assert await _position(documents) == 0
    index.fails = False
    await target.settled()
    assert await _position(documents) == 7


async def test_folding_goes_on_while_a_refresh_is_waited_for(
    index: _RecordingIndex,
    documents: SqliteDocumentStore,
    target: SearchTarget,
    progress: ProgressUpdate,
) -> None:
    await _commit_and_hold(index, target, progress)
    await target.commit([entry("b", "Tea")], replace(progress, positions={_FIRST: 8}))
    await target.commit([], replace(progress, positions={_FIRST: 9}))
    assert index.steps == ["write", "refresh", "write"]
    assert await _position(documents) == 0
    index.gate.set()
    await target.settled()
    assert index.steps == ["write", "refresh", "write", "refresh"]
    assert await _position(documents) == 9


async def test_what_is_written_during_a_refresh_is_not_covered_by_it(
    index: _RecordingIndex,
    documents: SqliteDocumentStore,
    target: SearchTarget,
    progress: ProgressUpdate,
) -> None:
    await _commit_and_hold(index, target, progress)
    await target.commit([entry("b", "Tea")], replace(progress, positions={_FIRST: 8}))
    saved = []
    save = documents.progress.save

    async def noted(update: ProgressUpdate) -> None:
        saved.append((index.steps.count("refresh"), update.positions[_FIRST]))
        await save(update)

    documents.progress.save = noted  # type: ignore[method-assign]
    index.gate.set()
    await target.settled()
    assert saved == [(1, 7), (2, 8)]


async def test_a_fence_is_told_at_the_next_commit_and_nothing_is_saved(
    index: _RecordingIndex,
    documents: SqliteDocumentStore,
    target: SearchTarget,
    progress: ProgressUpdate,
) -> None:
    await documents.progress.claim(_THINGS, [_FIRST])
    await target.commit([entry("a", "Tea")], progress)
    with pytest.raises(FencedError):
        await target.settled()
    await target.commit([entry("a", "Tea")], progress)
    await until(lambda: target._showing._task is None)
    with pytest.raises(FencedError):
        await target.commit([], progress)
    assert await _position(documents) == 0


async def test_what_is_abandoned_is_never_saved(
    index: _RecordingIndex,
    documents: SqliteDocumentStore,
    target: SearchTarget,
    progress: ProgressUpdate,
) -> None:
    await _commit_and_hold(index, target, progress)
    await target.abandon()
    index.gate.set()
    await target.settled()
    assert await _position(documents) == 0


async def test_what_an_earlier_claim_left_pending_does_not_trouble_the_next_one(
    index: _RecordingIndex,
    documents: SqliteDocumentStore,
    target: SearchTarget,
    progress: ProgressUpdate,
) -> None:
    projector = Projector(
        Manifest().projection("order_search"),
        target=target,
        progress=documents.progress,
        timelines=Timelines(_nothing_known),
        clock=SystemClock(),
    )
    await _commit_and_hold(index, target, progress)
    assert await projector.assigned([_FIRST]) == {_FIRST: 0}
    index.gate.set()
    claim = await documents.progress.claim(_THINGS, [_FIRST])
    await target.commit([entry("a", "Tea")], ProgressUpdate(claim=claim, positions={_FIRST: 7}))
    await target.settled()
    assert await _position(documents) == 7


async def test_what_cannot_be_shown_halts_the_read_model_at_once(
    index: _RecordingIndex,
    documents: SqliteDocumentStore,
    target: SearchTarget,
    progress: ProgressUpdate,
) -> None:
    """There may be no further commit for long that could tell."""
    index.failure = RuntimeError("something that nobody foresaw")
    await target.commit([entry("a", "Tea")], progress)
    with pytest.raises(RuntimeError):
        await target.settled()
    [found] = await documents.progress.load()
    assert (found.state, found.positions) == (ReadModelState.HALTED, {_FIRST: 0})
    assert found.reason == "something that nobody foresaw"


async def test_after_a_failure_nothing_is_saved_that_was_never_shown(
    index: _RecordingIndex,
    documents: SqliteDocumentStore,
    target: SearchTarget,
    progress: ProgressUpdate,
) -> None:
    index.failure = RuntimeError("something that nobody foresaw")
    await target.commit([entry("a", "Tea")], progress)
    with pytest.raises(RuntimeError):
        await target.settled()
    index.failure = None
    await target.commit([], replace(progress, positions={_FIRST: 8}))
    await target.settled()
    assert index.steps == ["write", "refresh", "refresh"]
    assert await _position(documents) == 8


async def test_what_waits_for_a_refresh_is_noted_and_proves_nothing(
    index: _RecordingIndex,
    documents: SqliteDocumentStore,
    target: SearchTarget,
    progress: ProgressUpdate,
) -> None:
    index.gate.clear()
    await target.commit([entry("a", "Tea")], progress)
    async with asyncio.timeout(10):
        while not (found := (await documents.progress.load())[0]).written:
            await asyncio.sleep(0.01)
    assert (found.positions, found.written) == ({_FIRST: 0}, {_FIRST: 7})
    index.gate.set()
    await target.settled()
    [found] = await documents.progress.load()
    assert (found.positions, found.written) == ({_FIRST: 7}, {})


async def test_a_refresh_at_once_leaves_nothing_to_note(
    documents: SqliteDocumentStore, target: SearchTarget, progress: ProgressUpdate
) -> None:
    noted = []
    documents.progress.note_written = noted.append  # type: ignore[method-assign,assignment]
    await target.commit([entry("a", "Tea")], progress)
    await target.settled()
    assert noted == []


async def test_progress_is_saved_with_the_stamp_of_its_refresh(
    index: _RecordingIndex,
    documents: SqliteDocumentStore,
    target: SearchTarget,
    progress: ProgressUpdate,
) -> None:
    for stamp in ("a", "b"):
        index.stamp = stamp
        await target.commit([entry("a", "Tea")], progress)
        await target.settled()
        [found] = await documents.progress.load()
        assert found.stamp == stamp
    assert index.saved == [None, "a"]


async def test_a_projector_sees_at_once_that_its_index_lacks_what_progress_covers(
    index: _RecordingIndex, target: SearchTarget, documents: SqliteDocumentStore
) -> None:
    await projecting_into(target, SEARCHED, documents)
    assert index.saved == []  # nothing was stamped yet
    claim = await documents.progress.claim(_THINGS, [AT])
    await documents.progress.save(ProgressUpdate(claim=claim, positions={AT: 1}, stamp="b"))
    index.failure = LostWritesError(INDEX.name)
    with pytest.raises(LostRowsError, match="slackwater rebuild things"):
        await projecting_into(target, SEARCHED, documents)
    assert index.saved == ["b"]
