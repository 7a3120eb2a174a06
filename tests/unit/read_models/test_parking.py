"""One bad event: it is parked with its key, and everything else goes on in its turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slackwater.errors import StructuralError, TransientError
from slackwater.event_log.port import Record
from slackwater.read_models.dead_letters import Hole
from slackwater.read_models.documents import RowWrite
from slackwater.read_models.parking import LETTERS_MAX
from slackwater.read_models.progress import ProgressUpdate, ReadModelProgress
from slackwater.read_models.projector import KeylessEventError, Projector
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.sqlite_search import SqliteSearchIndex
from slackwater.read_models.target import DocumentTarget, SearchTarget
from tests.unit.read_models.assigned import projecting_into
from tests.unit.read_models.things import (
    AT,
    BROKEN,
    COLLECTIONS,
    INDEX,
    MODEL,
    PROJECTION,
    SEARCHED,
    UNSTORABLE,
    event,
    records,
)


async def projecting(documents: SqliteDocumentStore, letters_max: int = LETTERS_MAX) -> Projector:
    """Return a projector to which the partition was assigned."""
    target = DocumentTarget(MODEL, COLLECTIONS, documents)
    return await projecting_into(target, PROJECTION, documents, letters_max)


async def load(documents: SqliteDocumentStore) -> ReadModelProgress:
    [found] = await documents.progress.load()
    return found


async def seen(documents: SqliteDocumentStore, *things: str) -> dict[str, Any]:
    rows = await documents.get(MODEL.stored_name("things"), things)
    return {thing: row.document["seen"] for thing, row in rows.items()}


BAD: dict[str, Callable[[Record], Record]] = {
    "undecodable": lambda record: replace(record, value=b"{"),
    "no event at all": lambda record: replace(record, headers={}),
    "of unknown type": lambda record: _with_header(record, "ce_type", "things.unheard_of"),
    "of a newer version": lambda record: _with_header(record, "ce_schemaversion", "9"),
    "fails in the projection": lambda record: replace(record, value=b'{"n":%d}' % BROKEN),
    "refused by the store": lambda record: replace(record, value=b'{"n":%d}' % UNSTORABLE),
    "one before it is missing": lambda record: _with_header(record, "ce_aggregateversion", "3"),
}


def _with_header(record: Record, name: str, text: str) -> Record:
    return replace(record, headers={**record.headers, name: text})


@pytest.mark.parametrize("kind", BAD)
async def test_a_poisonous_event_parks_its_key_and_nothing_else(
    documents: SqliteDocumentStore, kind: str
) -> None:
    batch = records(
        event("a1", 1, 10),
        event("b1", 1, 20),
        event("a1", 2, 11),
        event("a2", 1, 30),
        event("b1", 2, 21),
        event("a1", 3, 12),
    )
    batch[2] = BAD[kind](batch[2])
    projector = await projecting(documents)
    await projector.handle(batch)
    assert await seen(documents, "a1", "a2", "b1") == {"a1": [10], "b1": [20, 21]}
    progress = await load(documents)
    assert (progress.positions[AT], progress.events_applied) == (6, 3)
    [hole] = progress.holes
    assert (hole.key, hole.offset, hole.last_offset, hole.letters) == ("a", 2, 5, 3)
    told = None if kind == "no event at all" else {"a", "a1", "a2"}
    assert (set(hole.documents) if hole.documents is not None else None) == told
    assert hole.reason


async def test_what_comes_later_of_a_parked_key_is_parked_behind_it(
    documents: SqliteDocumentStore,
) -> None:
    projector = await projecting(documents)
    await projector.handle(records(event("a1", 1, BROKEN)))
    await projector.handle(records(event("a2", 1, 30), event("b1", 1, 20), first=1))
    assert await seen(documents, "a1", "a2", "b1") == {"b1": [20]}
    [hole] = (await load(documents)).holes
    assert (hole.letters, hole.last_offset) == (2, 1)


async def test_another_projector_takes_over_with_what_is_parked(
    documents: SqliteDocumentStore,
) -> None:
    await (await projecting(documents)).handle(records(event("a1", 1, BROKEN)))
    successor = await projecting(documents)
    await successor.handle(records(event("a1", 2, 11), event("b1", 1, 20), first=1))
    assert await seen(documents, "a1", "b1") == {"b1": [20]}
    [hole] = (await load(documents)).holes
    assert hole.letters == 2


async def test_a_batch_handed_over_twice_is_parked_once(documents: SqliteDocumentStore) -> None:
    projector = await projecting(documents)
    batch = records(event("a1", 1, 10), event("a1", 2, BROKEN), event("a1", 3, 12))
    await projector.handle(batch)
    before = (await load(documents)).holes
    await projector.handle(batch)
    await (await projecting(documents)).handle(batch)
    assert (await load(documents)).holes == before
    assert await seen(documents, "a1") == {"a1": [10]}


async def test_many_poisonous_events_of_one_batch_are_each_parked(
    documents: SqliteDocumentStore,
) -> None:
    keys = "abcdefghijklmnop"
    batch = records(*(event(f"{key}1", 1, BROKEN if key in "adhip" else 7) for key in keys))
    await (await projecting(documents)).handle(batch)
    progress = await load(documents)
    assert {hole.key for hole in progress.holes} == set("adhip")
    assert (progress.positions[AT], progress.events_applied) == (16, 11)


async def test_an_event_without_a_key_halts(documents: SqliteDocumentStore) -> None:
    """Nobody knows what would have to wait behind it."""
    [bad] = records(event("a1", 1, BROKEN))
    projector = await projecting(documents)
    with pytest.raises(KeylessEventError, match="--partition 0 --offset 0"):
        await projector.handle([replace(bad, key="")])
    assert (await load(documents)).positions[AT] == 0


async def test_more_than_may_be_parked_halts_with_the_remedy(
    documents: SqliteDocumentStore,
) -> None:
    projector = await projecting(documents, letters_max=2)
    await projector.handle(records(event("a1", 1, BROKEN), event("a1", 2, 11)))
    with pytest.raises(
        StructuralError,
        match=r"2 events of things\[0\] .* `slackwater dead-letter replay things --yes`",
    ):
        await projector.handle(records(event("a1", 3, 12), first=2))
    again = await projecting(documents, letters_max=2)
    with pytest.raises(StructuralError, match="are parked"):
        await again.handle(records(event("a1", 3, 12), first=2))
    progress = await load(documents)
    assert (progress.positions[AT], progress.holes[0].letters) == (2, 2)


async def test_trouble_that_passes_parks_nothing(documents: SqliteDocumentStore) -> None:
    projector = await projecting(documents)
    commit, troubles = documents.commit, [TransientError("busy; again")]

    async def troubled(rows: Sequence[RowWrite], progress: ProgressUpdate) -> None:
        if troubles:
            raise troubles.pop()
        await commit(rows, progress)

    documents.commit = troubled  # type: ignore[method-assign]
    batch = records(event("a1", 1, 10))
    with pytest.raises(TransientError):
        await projector.handle(batch)
    await projector.handle(batch)
    assert (await load(documents)).holes == ()
    assert await seen(documents, "a1") == {"a1": [10]}


async def test_a_key_whose_hole_was_closed_meanwhile_goes_on(
    documents: SqliteDocumentStore,
) -> None:
    projector = await projecting(documents)
    await projector.handle(records(event("a1", 1, BROKEN)))

    def close(connection: Any) -> None:
        connection.execute("DELETE FROM progress_holes")
        connection.execute("DELETE FROM dead_letters")

    await documents._file.write(close)
    later = records(event("a2", 1, 30), first=1)
    with pytest.raises(TransientError):
        await projector.handle(later)
    await projector.handle(later)
    assert await seen(documents, "a2") == {"a2": [30]}


async def test_of_a_search_index_what_is_parked_is_durable_before_progress_passes_it(
    documents: SqliteDocumentStore, tmp_path: Path
) -> None:
    search = SqliteSearchIndex(tmp_path / "search.db")
    target = SearchTarget(MODEL, INDEX, search, documents.progress)
    projector = await projecting_into(target, SEARCHED, documents)
    await target.settled()
    seen_holes: list[tuple[Hole, ...]] = []
    save = documents.progress.save

    async def saving(update: ProgressUpdate) -> None:
        if update.positions.get(AT, 0) > 1:  # it passes the poisonous one
            seen_holes.append((await load(documents)).holes)
        await save(update)

    documents.progress.save = saving  # type: ignore[method-assign]
    await projector.handle(records(event("a1", 1, 10), event("a1", 2, BROKEN), event("b1", 1, 20)))
    await target.settled()
    assert (
        [[hole.offset for hole in holes] for holes in seen_holes] == [[1]] * len(seen_holes) != []
    )
    assert (await load(documents)).positions[AT] == 3
    assert set(await search.get(MODEL.stored_name("things"), ["a1", "b1"])) == {"a1", "b1"}
    await search.close()
