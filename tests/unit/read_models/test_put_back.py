"""Progress that is put back to a backup under a running projector is gone on with from there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slackwater.errors import FencedError
from slackwater.installation import Installation
from slackwater.read_models.target import LostRowsError
from slackwater.testing.clock import ManualClock
from tests.sqlite_copy import copy
from tests.unit.read_models.replaying import Projecting
from tests.unit.read_models.things import AT, event

FIRST, LOST, NEXT = event("a1", 1, 10), event("a1", 2, 11), event("b1", 1, 20)
LOOK_MS = 10_000


@contextmanager
def put_back_after(folder: Path, *names: str) -> Iterator[None]:
    """Put files back to what they were at the beginning, under whoever has them open."""
    for name in names:
        copy(folder / name, folder / f"{name}.backup")
    yield
    for name in names:
        copy(folder / f"{name}.backup", folder / name)


def later(projecting: Projecting) -> None:
    clock = projecting.projector._clock
    assert isinstance(clock, ManualClock)
    clock.advance(ms=LOOK_MS)


async def go_on(projecting: Projecting) -> None:
    """Rejoin, and handle what is handed over again."""
    positions = await projecting.projector.assigned([AT])
    await projecting.handle(*[FIRST, LOST, NEXT][positions[AT] :], first=positions[AT])


async def test_no_event_is_passed_that_was_put_back(
    empty: Projecting, installation: Installation, tmp_path: Path
) -> None:
    await empty.handle(FIRST)
    with put_back_after(tmp_path, "documents.sqlite"):
        await empty.handle(LOST, first=1)
    with pytest.raises(FencedError, match="put back"):
        await empty.handle(NEXT, first=2)
    await go_on(empty)
    assert await empty.seen("a1") == [10, 11]
    assert await empty.seen("b1") == [20]


async def test_an_idle_projector_looks_whether_its_progress_was_put_back(
    empty: Projecting, tmp_path: Path
) -> None:
    await empty.handle(FIRST)
    await empty.projector.idle()
    with put_back_after(tmp_path, "documents.sqlite"):
        await empty.handle(LOST, first=1)
    await empty.projector.idle()  # it has just looked
    later(empty)
    with pytest.raises(FencedError, match="put back"):
        await empty.projector.idle()


@pytest.mark.parametrize("installation", ["search"], indirect=True)
async def test_an_index_that_is_put_back_with_its_progress_is_whole(
    empty: Projecting, tmp_path: Path
) -> None:
    await empty.handle(FIRST)
    with put_back_after(tmp_path, "documents.sqlite", "search.sqlite"):
        await empty.handle(LOST, first=1)
    later(empty)
    with pytest.raises(FencedError, match="put back"):
        await empty.projector.idle()
    await go_on(empty)
    assert await empty.seen("a1") == [10, 11]


@pytest.mark.parametrize("installation", ["search"], indirect=True)
async def test_an_idle_projector_looks_whether_its_index_was_put_back(
    empty: Projecting, tmp_path: Path
) -> None:
    await empty.handle(FIRST)
    with put_back_after(tmp_path, "search.sqlite"):
        await empty.handle(LOST, first=1)
    later(empty)
    with pytest.raises(LostRowsError, match="slackwater rebuild"):
        await empty.projector.idle()
