"""Discarding what can never be applied: as little as can be, for ever, and told."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from slackwater.errors import StructuralError
from slackwater.installation import Installation
from slackwater.parts.dead_letters import Chosen, discarded
from slackwater.parts.replay import Decision, Replayed, replay
from slackwater.read_models.discards import Discard, Treatment
from slackwater.read_models.sqlite_search import SqliteSearchIndex
from slackwater.sqlite.file import SqliteFile
from tests.unit.read_models.replaying import ALL, Projecting, holes
from tests.unit.read_models.things import AT, BROKEN, MODEL, UNSTORABLE, event

DECIDED = Decision(by="ops", why="the thing is gone")
WITH_GAPS = replace(DECIDED, accept_gap=True)


async def discard(
    installation: Installation, decision: Decision = DECIDED, *, apply: bool = True
) -> list[Replayed]:
    return [each async for each in replay(installation, ALL, apply=apply, decision=decision)]


async def kept(installation: Installation) -> list[Discard]:
    return [one async for name, one in discarded(installation, Chosen(read_model="things"))]


async def test_only_what_fails_is_left_out_and_the_rest_is_applied(
    installation: Installation, projecting: Projecting
) -> None:
    [one] = await discard(installation)
    assert (one.closed, one.events, one.discarded) == (True, 2, 1)
    assert await projecting.seen("a1") == [10, 12]
    assert await projecting.seen("a2") == [30]
    assert await holes(installation) == ()
    [told] = await kept(installation)
    assert (told.record.offset, told.treatment) == (1, Treatment.LEFT_OUT)
    assert (told.by, told.why, told.error) == ("ops", "the thing is gone", "PoisonousEventError")


async def test_what_comes_later_of_the_key_is_applied_again(
    installation: Installation, projecting: Projecting
) -> None:
    await discard(installation)
    await projecting.handle(event("a1", 4, 13), first=5)
    assert await projecting.seen("a1") == [10, 12, 13]
    assert await holes(installation) == ()


async def test_only_looking_tells_what_would_be_left_out_and_changes_nothing(
    installation: Installation, projecting: Projecting
) -> None:
    before = await holes(installation)
    [one] = await discard(installation, apply=False)
    assert (one.closed, one.events, one.discarded, one.reason) == (False, 2, 1, None)
    assert [each.record.offset for each in one.discards] == [1]
    assert await holes(installation) == before
    assert await projecting.seen("a1") == [10]
    assert await kept(installation) == []


@pytest.mark.parametrize(
    "decision", [replace(DECIDED, offset=4), replace(DECIDED, error="MissingVersionError")]
)
async def test_nothing_but_what_is_meant_is_left_out(
    installation: Installation, projecting: Projecting, decision: Decision
) -> None:
    [one] = await discard(installation, decision)
    assert (one.closed, one.discarded) == (False, 0)
    assert "ZeroDivisionError" in (one.reason or "")
    assert await kept(installation) == []
    [one] = await discard(installation, replace(DECIDED, offset=1, error="PoisonousEventError"))
    assert one.closed


async def test_after_a_gap_the_event_itself_is_applied_on_request(empty: Projecting) -> None:
    await empty.handle(event("a1", 1, 10), event("a1", 4, 13), event("a1", 5, 14))
    [stuck] = await discard(empty.installation)
    assert (stuck.closed, stuck.discarded) == (False, 0)
    assert "--accept-gap applies it" in (stuck.reason or "")
    [one] = await discard(empty.installation, WITH_GAPS)
    assert (one.closed, one.events, one.discarded) == (True, 2, 1)
    assert await empty.seen("a1") == [10, 13, 14]
    [told] = await kept(empty.installation)
    assert (told.treatment, told.error) == (Treatment.GAP_ACCEPTED, "MissingVersionError")


async def test_an_event_with_a_version_that_is_too_high_is_left_out_by_its_offset(
    empty: Projecting,
) -> None:
    await empty.handle(event("a1", 1, 10), event("a1", 99, 990), event("a1", 2, 11))
    [one] = await discard(empty.installation, replace(DECIDED, offset=1))
    assert (one.closed, one.events, one.discarded) == (True, 1, 1)
    await empty.handle(event("a1", 3, 12), first=3)
    assert await empty.seen("a1") == [10, 11, 12]
    assert await holes(empty.installation) == ()


async def test_a_gap_that_somebody_fills_later_is_none(empty: Projecting) -> None:
    late = [event("a1", 2 + number, 11 + number) for number in (0, 2, 1)]
    await empty.handle(event("a1", 1, 10), event("a1", 5, 14), *late)
    [one] = await discard(empty.installation, WITH_GAPS)
    assert (one.closed, one.events, one.discarded) == (True, 4, 0)
    assert await empty.seen("a1") == [10, 11, 12, 13, 14]


@pytest.mark.parametrize("n", [BROKEN, UNSTORABLE])
async def test_after_a_gap_an_event_that_fails_is_left_out(empty: Projecting, n: int) -> None:
    await empty.handle(event("a1", 1, 10), event("a1", 4, n), event("a1", 5, 14))
    [one] = await discard(empty.installation, WITH_GAPS)
    assert (one.closed, one.events, one.discarded) == (True, 1, 2)
    assert await empty.seen("a1") == [10, 14]
    treatments = [each.treatment for each in await kept(empty.installation)]
    assert treatments == [Treatment.LEFT_OUT, Treatment.GAP_ACCEPTED]


async def test_what_was_not_discarded_in_the_end_is_not_told(empty: Projecting) -> None:
    await empty.handle(event("a1", 1, 10), event("a1", 4, BROKEN))
    only_gaps = replace(WITH_GAPS, error="MissingVersionError")
    [one] = await discard(empty.installation, only_gaps)
    assert (one.closed, one.discarded, one.discards) == (False, 0, ())


async def test_an_offset_that_two_keys_may_mean_is_refused(
    installation: Installation, projecting: Projecting
) -> None:
    await projecting.handle(event("b1", 2, BROKEN), event("a1", 4, 13), event("b1", 3, 22), first=5)
    with pytest.raises(StructuralError, match="name one with --key and --topic"):
        await discard(installation, replace(DECIDED, offset=6))


async def test_an_aggregate_without_its_beginning_is_left_out_for_ever(empty: Projecting) -> None:
    await empty.handle(event("a1", 1, BROKEN), event("a1", 2, 11), event("a2", 1, 30))
    [one] = await discard(empty.installation)
    assert (one.closed, one.events, one.discarded) == (True, 1, 1)
    await empty.handle(event("a1", 3, 12), event("a2", 2, 31), first=3)
    assert await holes(empty.installation) == ()
    assert await empty.seen("a1") is None
    assert await empty.seen("a2") == [30, 31]


async def test_a_version_that_somebody_else_has_taken_stays_its_owner_s(empty: Projecting) -> None:
    forged = event("a1", 2, BROKEN, id="forged")
    await empty.handle(event("a1", 1, 10), forged, event("a1", 2, 11), event("a1", 3, 12))
    [one] = await discard(empty.installation)
    assert (one.closed, one.events, one.discarded) == (True, 2, 1)
    assert await empty.seen("a1") == [10, 11, 12]


async def test_an_aggregate_whose_first_version_was_taken_begins_with_its_own(
    empty: Projecting,
) -> None:
    forged = event("a1", 1, BROKEN, id="forged")
    await empty.handle(forged, event("a1", 1, 10), event("a1", 2, 11))
    [one] = await discard(empty.installation)
    assert (one.closed, one.events, one.discarded) == (True, 2, 1)
    assert await empty.seen("a1") == [10, 11]


async def test_what_cannot_be_read_is_left_out_and_its_successor_is_a_gap(
    empty: Projecting,
) -> None:
    nonsense = empty.records(event("a1", 2, 11), first=1)[0]
    nonsense = replace(nonsense, headers={"ce_id": "?"})
    await empty.handle(event("a1", 1, 10))
    await empty.handle_records([nonsense])
    await empty.handle(event("a1", 3, 12), first=2)
    [one] = await discard(empty.installation, WITH_GAPS)
    assert (one.closed, one.events, one.discarded) == (True, 1, 2)
    assert await empty.seen("a1") == [10, 12]
    treatments = [each.treatment for each in await kept(empty.installation)]
    assert treatments == [Treatment.UNREADABLE, Treatment.GAP_ACCEPTED]


async def test_a_rebuild_goes_without_the_same(empty: Projecting) -> None:
    events = [
        event("a1", 1, 10),
        event("a1", 2, BROKEN),
        event("a1", 3, 12),
        event("b1", 1, BROKEN),
        event("b1", 2, 21),
        event("c1", 2, 31),
        event("a1", 5, 14),
    ]
    await empty.handle(*events)
    assert len(await holes(empty.installation)) == 3
    await discard(empty.installation, WITH_GAPS)
    new = await empty.next_version()
    await new.handle(*events)
    for thing in ("a1", "b1", "c1"):
        assert await new.seen(thing) == await empty.seen(thing)
    assert await empty.seen("a1") == [10, 12, 14]
    assert await empty.installation.documents.progress.activate(new.target.model)


async def test_a_discard_that_died_before_its_end_is_done_again(
    installation: Installation, projecting: Projecting
) -> None:
    progress = installation.documents.progress
    close = progress.close_hole

    async def dying(*_: Any) -> bool:
        raise StructuralError("dead")

    progress.close_hole = dying  # type: ignore[method-assign]
    with pytest.raises(StructuralError):
        await discard(installation)
    assert len(await holes(installation)) == 1, "the hole counts until it is closed"
    before = await kept(installation)
    assert len(before) == 1
    progress.close_hole = close  # type: ignore[method-assign]
    [one] = await discard(installation, replace(DECIDED, by="somebody else"))
    assert (one.closed, one.events, one.discarded) == (True, 0, 0)
    assert await kept(installation) == before
    assert await projecting.seen("a1") == [10, 12]


async def test_a_projector_learns_of_it_while_it_runs(
    installation: Installation, projecting: Projecting
) -> None:
    await projecting.handle(event("a3", 1, BROKEN), event("a3", 2, 41), first=5)
    await discard(installation)
    await projecting.handle(event("a3", 3, 42), first=7)
    assert await holes(installation) == ()
    assert await projecting.seen("a3") is None


async def test_a_progress_of_one_version_only_is_listed_by_its_read_model(
    installation: Installation, projecting: Projecting
) -> None:
    await discard(installation)
    found = [name async for name, _ in discarded(installation, ALL)]
    assert found == [MODEL.read_model]
    none = [one async for one in discarded(installation, Chosen(key="b"))]
    assert none == []


async def test_readers_cannot_be_switched_behind_a_discards_back(
    installation: Installation, projecting: Projecting
) -> None:
    progress = installation.documents.progress
    close = progress.close_hole
    new = await projecting.next_version()
    await new.handle(event("a1", 1, 10), event("a1", 2, BROKEN), event("a1", 3, 12))
    await new.handle(event("b1", 1, 20), event("a2", 1, 30), first=3)

    async def not_switched(*arguments: Any) -> bool:
        assert not await progress.activate(new.target.model)
        return await close(*arguments)

    progress.close_hole = not_switched  # type: ignore[method-assign]
    [one] = await discard(installation)
    assert one.closed


async def test_a_dropped_version_takes_no_discards(
    installation: Installation, projecting: Projecting
) -> None:
    progress = installation.documents.progress
    new = await projecting.next_version()
    await new.handle(event("a1", 1, 10), event("b1", 1, 20), event("a2", 1, 30))
    letters = progress.letters

    async def dropped(*arguments: Any, **named: Any) -> Any:
        found = await letters(*arguments, **named)
        if await progress.activate(new.target.model):
            await projecting.target.drop()
            await progress.forget(projecting.target.model)
        return found

    await new.projector._progress.save(
        new.projector._update(new.projector._claim, {AT: 5})  # type: ignore[arg-type]
    )
    progress.letters = dropped  # type: ignore[method-assign]
    with pytest.raises(StructuralError):
        await discard(installation)
    assert await kept(installation) == []


async def test_in_search_a_discard_is_on_the_disk_before_rows_go_on_without_the_event(
    installation: Installation, projecting: Projecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installation.manifest.projection("things").index is None:
        return  # rows and discards are in one file
    done: list[str] = []
    sync, write = SqliteFile.sync, SqliteSearchIndex.write

    async def noted_sync(file: SqliteFile) -> None:
        await sync(file)
        assert len(await kept(installation)) == 1
        done.append("on the disk")

    async def noted_write(*arguments: Any) -> None:
        done.append("written")
        await write(*arguments)

    monkeypatch.setattr(SqliteFile, "sync", noted_sync)
    monkeypatch.setattr(SqliteSearchIndex, "write", noted_write)
    await discard(installation)
    assert done[:2] == ["on the disk", "written"]
