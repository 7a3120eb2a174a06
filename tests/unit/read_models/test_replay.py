"""Replaying what is parked: in order, safe twice, and the hole counts until readers see it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from slackwater.errors import StructuralError
from slackwater.installation import Installation
from slackwater.parts.dead_letters import Chosen, Parked, letters, parked
from slackwater.parts.replay import Replayed, replay
from slackwater.read_models import fold as fold_module
from slackwater.read_models.documents import RowWrite
from slackwater.read_models.progress import ProgressUpdate
from slackwater.read_models.search import PartialResultError, SavedStamp, no_stamp
from slackwater.read_models.target import LostRowsError
from tests.unit.read_models.replaying import ALL, Manifest, Projecting, holes
from tests.unit.read_models.things import BROKEN, MODEL, event


def mend(installation: Installation) -> None:
    cast("Manifest", installation.manifest).is_mended = True


@pytest.fixture
def searched(installation: Installation) -> Installation:
    """One whose things are in a search index."""
    if installation.manifest.projection("things").index is None:
        pytest.skip("documents and progress are one file, and have no stamps")
    return installation


async def replayed(installation: Installation, chosen: Chosen = ALL) -> list[Replayed]:
    return [each async for each in replay(installation, chosen, apply=True)]


async def test_what_is_parked_is_listed_and_shown_in_order(
    installation: Installation, projecting: Projecting
) -> None:
    [one] = [each async for each in parked(installation, ALL)]
    assert (one.key, one.events, one.first_offset, one.last_offset) == ("a", 3, 1, 4)
    assert one.error == "PoisonousEventError"
    page = [each async for each in letters(installation, Chosen(key="a"), after=1, limit=1)]
    assert [(each.record.offset, each.error) for each in page] == [(3, None)]
    none: list[Parked] = [each async for each in parked(installation, Chosen(error="Other"))]
    assert none == []


async def test_a_replay_applies_in_order_and_closes_the_hole(
    installation: Installation, projecting: Projecting
) -> None:
    mend(installation)
    [one] = await replayed(installation)
    assert (one.closed, one.events, one.reason) == (True, 3, None)
    assert await projecting.seen("a1") == [10, BROKEN, 12]
    assert await projecting.seen("a2") == [30]
    assert await holes(installation) == ()
    assert await replayed(installation) == []


async def test_what_was_replayed_is_behind_a_stamp_before_its_hole_is_closed(
    searched: Installation, projecting: Projecting
) -> None:
    stamps = ["a", "b", "c"]

    async def refresh(_index: str, _saved: SavedStamp = no_stamp) -> str:
        return stamps.pop(0)

    searched.search.refresh = refresh  # type: ignore[method-assign]
    await projecting.handle(event("b1", 2, 21), first=5)
    mend(searched)
    progress = searched.documents.progress
    close, saved = progress.close_hole, []

    async def closing(*arguments: Any) -> bool:
        saved.append([each.stamp for each in await progress.load()])
        return await close(*arguments)

    progress.close_hole = closing  # type: ignore[method-assign]
    [one] = await replayed(searched)
    assert one.closed
    assert (stamps, saved) == ([], [["c"]])


async def test_nothing_is_replayed_into_an_index_that_was_put_back(
    searched: Installation, projecting: Projecting, tmp_path: Path
) -> None:
    backup, file = tmp_path / "backup.sqlite", tmp_path / "search.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))
    await projecting.handle(event("b1", 2, 21), first=5)
    await searched.search.close()
    for name in ("search.sqlite", "search.sqlite-wal", "search.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    backup.rename(file)
    again = Installation(searched.settings, searched.manifest)
    mend(again)
    try:
        with pytest.raises(LostRowsError):
            await replayed(again)
        [progress] = await again.documents.progress.load()
        assert progress.holes
        with pytest.raises(PartialResultError):
            await again.search.count(MODEL.stored_name("things"), progress.stamp)
    finally:
        await again.close()


async def test_only_looking_changes_nothing(
    installation: Installation, projecting: Projecting
) -> None:
    before = await holes(installation)
    [stuck] = [each async for each in replay(installation, ALL, apply=False)]
    assert (stuck.closed, "ZeroDivisionError" in (stuck.reason or "")) == (False, True)
    mend(installation)
    [one] = [each async for each in replay(installation, ALL, apply=False)]
    assert (one.closed, one.events, one.reason) == (False, 3, None)
    assert await holes(installation) == before
    assert await projecting.seen("a1") == [10]


async def test_what_is_not_mended_stays_parked(
    installation: Installation, projecting: Projecting
) -> None:
    before = await holes(installation)
    [one] = await replayed(installation)
    assert (one.closed, one.events) == (False, 0)
    assert await holes(installation) == before


async def test_a_replay_that_died_before_its_end_is_done_again(
    installation: Installation, projecting: Projecting
) -> None:
    mend(installation)
    close, progress = installation.documents.progress.close_hole, installation.documents.progress

    async def dying(*_: Any) -> bool:
        raise StructuralError("dead")

    progress.close_hole = dying  # type: ignore[method-assign]
    with pytest.raises(StructuralError):
        await replayed(installation)
    assert len(await holes(installation)) == 1, "the hole counts until it is closed"
    progress.close_hole = close  # type: ignore[method-assign]
    [one] = await replayed(installation)
    assert (one.closed, one.events) == (True, 0)
    assert await projecting.seen("a1") == [10, BROKEN, 12]


async def test_a_version_that_was_left_meanwhile_is_told(
    installation: Installation, projecting: Projecting
) -> None:
    progress = installation.documents.progress
    close = progress.close_hole
    new = await projecting.next_version()
    await new.handle(event("a1", 1, 10), event("a1", 2, BROKEN), event("a1", 3, 12))
    await new.handle(event("b1", 1, 20), event("a2", 1, 30), first=3)

    async def switched(*arguments: Any) -> bool:
        assert await progress.activate(new.target.model)
        return await close(*arguments)

    progress.close_hole = switched  # type: ignore[method-assign]
    mend(installation)
    [one] = await replayed(installation)
    assert (one.closed, "readers use another version" in (one.reason or "")) == (False, True)


async def test_what_is_parked_behind_meanwhile_is_replayed_too(
    installation: Installation, projecting: Projecting
) -> None:
    mend(installation)
    progress = installation.documents.progress
    close, behind = progress.close_hole, [event("a1", 4, 13)]

    async def closing(*arguments: Any) -> bool:
        if behind:
            await projecting.handle(behind.pop(), first=5)
        return await close(*arguments)

    progress.close_hole = closing  # type: ignore[method-assign]
    [one] = await replayed(installation)
    assert (one.closed, one.events) == (True, 4)
    assert await projecting.seen("a1") == [10, BROKEN, 12, 13]


async def test_its_projector_goes_on_with_the_key_after_a_replay(
    installation: Installation, projecting: Projecting
) -> None:
    mend(installation)
    await replayed(installation)
    later = event("a1", 4, 13)
    with pytest.raises(Exception, match="nothing is parked of key a"):
        await projecting.projector.handle(projecting.records(later, first=5))
    await projecting.handle(later, first=5)
    assert await projecting.seen("a1") == [10, BROKEN, 12, 13]
    assert await holes(installation) == ()


async def test_a_row_that_was_changed_meanwhile_is_folded_anew(
    installation: Installation, projecting: Projecting
) -> None:
    if installation.manifest.projection("things").index is not None:
        return  # a search document has no guard but its version
    mend(installation)
    documents = installation.documents
    commit, others = documents.commit, [1]

    async def committing(rows: Sequence[RowWrite], progress: ProgressUpdate) -> None:
        if others.pop() if others else False:
            stored = MODEL.stored_name("things")
            [row] = (await documents.get(stored, ["a1"])).values()
            touched = RowWrite(
                collection=stored,
                id="a1",
                version=row.version,
                expected_revision=row.revision,
                document={**row.document, "touched": True},
            )
            await commit([touched], progress)
        await commit(rows, progress)

    documents.commit = committing  # type: ignore[method-assign]
    [one] = await replayed(installation)
    assert one.closed
    [row] = (await documents.get(MODEL.stored_name("things"), ["a1"])).values()
    assert (row.document["seen"], row.document["touched"]) == ([10, BROKEN, 12], True)


async def test_a_predecessor_that_came_late_closes_the_gap(empty: Projecting) -> None:
    await empty.handle(
        event("a1", 1, 10), event("a1", 3, 12), event("a2", 1, 30), event("a1", 2, 11)
    )
    [one] = await replayed(empty.installation)
    assert (one.closed, one.events) == (True, 3)
    assert await empty.seen("a1") == [10, 11, 12]


async def test_events_that_come_twice_are_replayed_in_the_order_of_the_log(
    empty: Projecting,
) -> None:
    first = [event("a1", 2, 11), event("a1", 3, 12)]
    await empty.handle(event("a1", 1, BROKEN), *first, event("a2", 1, 30), *first)
    mend(empty.installation)
    order: list[str] = []
    apply = cast("Any", fold_module)._fold_one

    def noted(projection: Any, rows: Any, each: Any, discards: Any) -> bool:
        is_new: bool = apply(projection, rows, each, discards)
        if is_new:
            order.append(each.id)
        return is_new

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold_module, "_fold_one", noted)
        [one] = await replayed(empty.installation)
    assert one.closed
    assert order == ["a1.1", "a1.2", "a1.3", "a2.1"]


async def test_a_long_hole_that_grows_is_not_read_from_its_beginning_again(
    installation: Installation, projecting: Projecting
) -> None:
    mend(installation)
    progress = installation.documents.progress
    close, letters, read, behind = progress.close_hole, progress.letters, 0, 3

    async def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal read
        found = await letters(*arguments, **named)
        read += len(found)
        return found

    async def closing(*arguments: Any) -> bool:
        nonlocal behind
        if behind:
            behind -= 1
            await projecting.handle(event("a1", 6 - behind, 20 - behind), first=7 - behind)
        return await close(*arguments)

    progress.close_hole, progress.letters = closing, counted  # type: ignore[method-assign]
    [one] = await replayed(installation)
    assert (one.closed, read) == (True, 6)
