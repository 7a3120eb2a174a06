"""A rebuild parks by itself, and is switched to only if no reader goes back by that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from slackwater.clock import SystemClock
from slackwater.errors import TransientError
from slackwater.event_log.port import NewRecord, Record
from slackwater.events.event import Event
from slackwater.installation import Installation
from slackwater.manifest import Manifest
from slackwater.parts.dead_letters import Chosen
from slackwater.parts.projector import prepare_active, projector_of, target_of
from slackwater.parts.rebuild import RebuildHaltedError, rebuild
from slackwater.parts.replay import Decision, replay
from slackwater.read_models.progress import (
    ModelVersion,
    ProgressUpdate,
    ReadModelProgress,
    ReadModelState,
)
from slackwater.settings import load_settings
from slackwater.watermarks.record import WATERMARKS, Watermark
from tests.unit.read_models import things
from tests.unit.read_models.things import AT, BROKEN, MODEL, TOPIC, event, records

BATCH = records(event("a1", 1, 10), event("a1", 2, BROKEN), event("b1", 1, 20))


class _Rules:
    """A manifest whose rules are broken, or mended."""

    is_mended = False
    is_searched = False

    def projection(self, _: str) -> things.Projection:
        if self.is_searched:
            return things.mended("things", index=things.INDEX)
        if self.is_mended:
            return things.mended("things", collections=things.COLLECTIONS)
        return things.PROJECTION


@pytest.fixture
def rules() -> _Rules:
    return _Rules()


@pytest.fixture
async def installation(rules: _Rules, tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation whose log holds one batch, with its watermark."""
    installation = Installation(load_settings({"data_dir": tmp_path}), cast("Manifest", rules))
    log, clock = installation.event_log, SystemClock()
    await log.create_topics([TOPIC, WATERMARKS])
    await log.append(
        [
            NewRecord(topic=each.topic, key=each.key, value=each.value, headers=each.headers)
            for each in BATCH
        ]
    )
    offsets = {TOPIC.name: [len(BATCH)]}
    watermark = Watermark(source="source", epoch=1, n=1, clock=clock.now(), offsets=offsets)
    await log.append([watermark.to_record()])
    yield installation
    await installation.close()


async def project(installation: Installation, batch: Sequence[Record] = BATCH) -> None:
    """Let the version that readers use apply everything."""
    model = await prepare_active(installation, MODEL.read_model)
    projector = projector_of(installation, target_of(installation, model))
    await projector.assigned([AT])
    await projector.handle(batch)


async def append(installation: Installation, *events: Event) -> list[Record]:
    """Append events behind the batch, with their watermark."""
    log = installation.event_log
    added = records(*events, first=len(BATCH))
    await log.append(
        [
            NewRecord(topic=each.topic, key=each.key, value=each.value, headers=each.headers)
            for each in added
        ]
    )
    ends = {TOPIC.name: [len(BATCH) + len(added)]}
    now = SystemClock().now()
    watermark = Watermark(source="source", epoch=1, n=2, clock=now, offsets=ends)
    await log.append([watermark.to_record()])
    return [*BATCH, *added]


async def seen(installation: Installation, thing: str) -> object:
    target = target_of(installation, (await active(installation)).model)
    return (await target.load("things", [thing]))[thing].document["seen"]


async def built(installation: Installation) -> None:
    """Rebuild until readers use the new version; nobody waits for projectors to take over."""
    reports = rebuild(installation, MODEL.read_model)
    async for report in reports:
        if report.active:
            break
    await reports.aclose()  # type: ignore[attr-defined]


async def active(installation: Installation) -> ReadModelProgress:
    [found] = [each for each in await installation.documents.progress.load() if each.active]
    return found


async def test_what_is_applied_in_one_version_may_not_be_parked_in_the_next(
    installation: Installation, rules: _Rules
) -> None:
    rules.is_mended = True
    await project(installation)
    rules.is_mended = False
    with pytest.raises(RebuildHaltedError, match=r"ZeroDivisionError.* is untouched"):
        await built(installation)
    found = await active(installation)
    assert (found.model, found.holes) == (MODEL, ())


async def test_what_is_parked_in_both_versions_stays_parked(installation: Installation) -> None:
    await project(installation)
    before = (await active(installation)).holes
    await built(installation)
    found = await active(installation)
    assert (found.model, found.holes) == (ModelVersion(MODEL.read_model, 2), before)


async def test_with_mended_rules_a_rebuild_leaves_the_hole_behind(
    installation: Installation, rules: _Rules
) -> None:
    await project(installation)
    assert len((await active(installation)).holes) == 1
    rules.is_mended = True
    await built(installation)
    found = await active(installation)
    assert (found.model.version, found.holes) == (2, ())


async def test_a_half_built_version_with_holes_is_begun_anew(
    installation: Installation, rules: _Rules
) -> None:
    rules.is_mended = True
    await project(installation)
    rules.is_mended = False
    with pytest.raises(RebuildHaltedError):
        await built(installation)
    rules.is_mended = True
    await built(installation)
    found = await active(installation)
    assert (found.model.version, found.holes) == (3, ())


async def test_what_is_discarded_while_a_version_is_built_is_left_out_of_it(
    installation: Installation, rules: _Rules
) -> None:
    await project(installation)
    next_version = ModelVersion(MODEL.read_model, 2)
    await installation.documents.progress.register(next_version)
    rules.is_mended = True
    target = target_of(installation, next_version)
    await target.prepare()
    builder = projector_of(installation, target, running=ReadModelState.REBUILDING)
    await builder.assigned([AT])
    await builder.handle(BATCH)
    rules.is_mended = False
    decision = Decision(by="ops", why="it never fits")
    [one] = [each async for each in replay(installation, Chosen(), apply=True, decision=decision)]
    assert one.closed
    before = await seen(installation, "a1")
    rules.is_mended = True
    await built(installation)
    assert (await active(installation)).model.version == 3
    assert await seen(installation, "a1") == before


async def test_what_a_replay_has_put_into_order_a_rebuild_does_too(
    installation: Installation, rules: _Rules
) -> None:
    rules.is_mended = True
    reversed_ = event("c1", 1, 30), event("c1", 3, 32), event("c1", 2, 31)
    await project(installation, await append(installation, *reversed_))
    [one] = [each async for each in replay(installation, Chosen(), apply=True)]
    assert one.closed
    await built(installation)
    assert ((await active(installation)).model.version, (await active(installation)).holes) == (
        2,
        (),
    )
    assert await seen(installation, "c1") == [30, 31, 32]


async def test_a_gap_that_was_accepted_covers_the_same_in_a_rebuild(
    installation: Installation, rules: _Rules
) -> None:
    rules.is_mended = True
    gap = event("c1", 1, 30), event("c1", 4, 33), event("c1", 2, 31)
    await project(installation, await append(installation, *gap))
    decision = Decision(by="ops", why="lost", accept_gap=True)
    [one] = [each async for each in replay(installation, Chosen(), apply=True, decision=decision)]
    assert (one.closed, one.discarded) == (True, 1)
    assert await seen(installation, "c1") == [30, 31, 33]
    await built(installation)
    assert (await active(installation)).model.version == 2
    assert await seen(installation, "c1") == [30, 31, 33]


async def test_a_switch_that_fails_in_passing_is_tried_again(
    installation: Installation, rules: _Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules.is_mended = True
    await project(installation)
    progress, failures = installation.documents.progress, 2
    activate = progress.activate

    async def fail_first(model: ModelVersion) -> bool:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise TransientError("saves were in its way; try again")
        return await activate(model)

    monkeypatch.setattr(progress, "activate", fail_first)
    await built(installation)
    assert failures < 0
    assert (await active(installation)).model == ModelVersion(MODEL.read_model, 2)


async def test_a_version_whose_index_was_put_back_is_not_gone_on_with(
    installation: Installation, rules: _Rules
) -> None:
    rules.is_mended = rules.is_searched = True
    await project(installation)
    half_built = ModelVersion(MODEL.read_model, 2)
    progress = installation.documents.progress
    await progress.register(half_built)
    await target_of(installation, half_built).prepare()
    claim = await progress.claim(half_built, [AT])
    later = "9" * 19  # as if much had been written to the index since
    await progress.save(ProgressUpdate(claim=claim, positions={AT: 1}, stamp=later))
    await built(installation)
    assert (await active(installation)).model.version == 3
