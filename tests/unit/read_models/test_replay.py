"""Replaying what is parked: in order, safe twice, and the hole counts until readers see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from slackwater.consumer.timelines import Timelines
from slackwater.errors import StructuralError
from slackwater.installation import Installation
from slackwater.manifest import Manifest
from slackwater.parts.dead_letters import Chosen, Parked, Replayed, letters, parked, replay
from slackwater.parts.projector import target_of
from slackwater.read_models.dead_letters import Hole
from slackwater.read_models.documents import RowWrite
from slackwater.read_models.progress import ProgressUpdate
from slackwater.read_models.projection import Projection
from slackwater.read_models.projector import Projector
from slackwater.settings import load_settings
from slackwater.testing.clock import ManualClock
from tests.unit.read_models import things
from tests.unit.read_models.things import AT, BROKEN, MODEL, event, newest_by_topic, records

ALL = Chosen()


class _Manifest:
    """Knows the read model of things; `mended` decides by which rules it is projected."""

    def __init__(self, broken: Projection, mended: Projection) -> None:
        self._broken, self._mended = broken, mended
        self.is_mended = False

    def projection(self, name: str) -> Projection:
        if name != MODEL.read_model:
            raise StructuralError(f"{name} is no read model; name one")
        return self._mended if self.is_mended else self._broken


KINDS = {
    "documents": _Manifest(
        things.PROJECTION, things.mended("things", collections=things.COLLECTIONS)
    ),
    "search": _Manifest(things.SEARCHED, things.mended("things", index=things.INDEX)),
}


@pytest.fixture(params=KINDS)
async def installation(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Installation]:
    manifest = KINDS[request.param]
    manifest.is_mended = False
    installation = Installation(load_settings({"data_dir": tmp_path}), cast("Manifest", manifest))
    await installation.documents.progress.register(MODEL)
    yield installation
    await installation.close()


class _Projecting:
    """A projector that is handed records by hand."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.target = target_of(installation, MODEL)
        self.projector = Projector(
            installation.manifest.projection(MODEL.read_model),
            target=self.target,
            progress=installation.documents.progress,
            timelines=Timelines(newest_by_topic),
            clock=ManualClock(),
        )

    async def begin(self) -> _Projecting:
        await self.target.prepare()
        await self.projector.assigned([AT])
        return self

    async def handle(self, *events: Any, first: int = 0) -> None:
        await self.projector.handle(records(*events, first=first))
        await self.target.settled()

    async def seen(self, thing: str) -> list[int] | None:
        row = (await self.target.load("things", [thing])).get(thing)
        return row.document["seen"] if row is not None else None


@pytest.fixture
async def projecting(installation: Installation) -> _Projecting:
    """A projector that has parked three events of key a: 10 is applied, -1 is what is wrong."""
    projecting = await _Projecting(installation).begin()
    await projecting.handle(
        event("a1", 1, 10),
        event("a1", 2, BROKEN),
        event("b1", 1, 20),
        event("a2", 1, 30),
        event("a1", 3, 12),
    )
    return projecting


def mend(installation: Installation) -> None:
    cast("_Manifest", installation.manifest).is_mended = True


async def holes(installation: Installation) -> Sequence[Hole]:
    [found] = await installation.documents.progress.load()
    return found.holes


async def replayed(installation: Installation, chosen: Chosen = ALL) -> list[Replayed]:
    return [each async for each in replay(installation, chosen, apply=True)]


async def test_what_is_parked_is_listed_and_shown_in_order(
    installation: Installation, projecting: _Projecting
) -> None:
    [one] = [each async for each in parked(installation, ALL)]
    assert (one.key, one.events, one.first_offset, one.last_offset) == ("a", 3, 1, 4)
    assert one.error == "PoisonousEventError"
    page = [each async for each in letters(installation, Chosen(key="a"), after=1, limit=1)]
    assert [(each.record.offset, each.error) for each in page] == [(3, None)]
    none: list[Parked] = [each async for each in parked(installation, Chosen(error="Other"))]
    assert none == []


async def test_a_replay_applies_in_order_and_closes_the_hole(
    installation: Installation, projecting: _Projecting
) -> None:
    mend(installation)
    [one] = await replayed(installation)
    assert (one.closed, one.events, one.reason) == (True, 3, None)
    assert await projecting.seen("a1") == [10, BROKEN, 12]
    assert await projecting.seen("a2") == [30]
    assert await holes(installation) == ()
    assert await replayed(installation) == []


async def test_only_looking_changes_nothing(
    installation: Installation, projecting: _Projecting
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
    installation: Installation, projecting: _Projecting
) -> None:
    before = await holes(installation)
    [one] = await replayed(installation)
    assert (one.closed, one.events) == (False, 0)
    assert await holes(installation) == before


async def test_a_replay_that_died_before_its_end_is_done_again(
    installation: Installation, projecting: _Projecting
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


async def test_what_is_parked_behind_meanwhile_is_replayed_too(
    installation: Installation, projecting: _Projecting
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
    installation: Installation, projecting: _Projecting
) -> None:
    mend(installation)
    await replayed(installation)
    later = event("a1", 4, 13)
    with pytest.raises(Exception, match="nothing is parked of key a"):
        await projecting.handle(later, first=5)
    await projecting.handle(later, first=5)
    assert await projecting.seen("a1") == [10, BROKEN, 12, 13]
    assert await holes(installation) == ()


async def test_a_row_that_was_changed_meanwhile_is_folded_anew(
    installation: Installation, projecting: _Projecting
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
