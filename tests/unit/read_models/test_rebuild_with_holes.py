"""A rebuild parks by itself, and is switched to only if no reader goes back by that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from slackwater.clock import SystemClock
from slackwater.event_log.port import NewRecord
from slackwater.installation import Installation
from slackwater.manifest import Manifest
from slackwater.parts.projector import prepare_active, projector_of, target_of
from slackwater.parts.rebuild import RebuildHaltedError, rebuild
from slackwater.read_models.progress import ModelVersion, ReadModelProgress
from slackwater.settings import load_settings
from slackwater.watermarks.record import WATERMARKS, Watermark
from tests.unit.read_models import things
from tests.unit.read_models.things import AT, BROKEN, MODEL, TOPIC, event, records

BATCH = records(event("a1", 1, 10), event("a1", 2, BROKEN), event("b1", 1, 20))


class _Rules:
    """A manifest whose rules are broken, or mended."""

    is_mended = False

    def projection(self, _: str) -> things.Projection:
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


async def project(installation: Installation) -> None:
    """Let the version that readers use apply everything."""
    model = await prepare_active(installation, MODEL.read_model)
    projector = projector_of(installation, target_of(installation, model))
    await projector.assigned([AT])
    await projector.handle(BATCH)


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
