"""Builds the next version of a read model beside the one that readers use, and switches to it.

    next version ─► fold its sources' timelines ─► has all that the active one has ─► active
                        ▲ stopped: goes on from its own progress                          │
                        └─ projectors take over, one batch later ◄────────────────────────┘

The switch is one step in the store, which refuses it while a position is missing, or while a key is
parked of which the version in use has more: whatever a reader saw before it, the same reader sees
after it. What was built is kept when the rebuild is stopped, so a second start goes on, unless
something of it is parked. Where a source was restored, positions of the lost history are nobody's
aim any more: there, what the log holds is.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

import msgspec

from slackwater.errors import SlackwaterError, StructuralError, TransientError
from slackwater.event_log.port import Record, TopicPartition
from slackwater.installation import Installation
from slackwater.logs import logger
from slackwater.parts.projector import create_topics, projector_of, runner_of, target_of
from slackwater.parts.replay import replay_hole
from slackwater.read_models.dead_letters import Hole, lacks_no_more
from slackwater.read_models.progress import (
    FIRST_VERSION,
    ModelVersion,
    ProgressStore,
    ReadModelProgress,
    ReadModelState,
    left_timelines,
)
from slackwater.read_models.projection import Projection
from slackwater.read_models.projector import Projector
from slackwater.read_models.target import LostRowsError
from slackwater.read_models.versions import active_version, versions_of
from slackwater.watermarks.newest import newest_by_topic

_REPORT_INTERVAL_S = 0.5
HAND_OVER_S = 30.0
"""For how long what was built is gone on with while no projector does."""
_RATE_WINDOW_MIN_S = 0.2
_NEAR_EVENTS = 500
_log = logger("rebuild")


class RebuildHaltedError(SlackwaterError):
    """The new version lacks what the one in use has; mend the projection and run it again."""


class _OutdatedError(Exception):
    """Something was discarded that the version may have applied."""


class RebuildReport(msgspec.Struct, frozen=True, kw_only=True):
    """How far the new version is; rates are those of this run."""

    read_model: str
    version: int
    events_done: int
    events_total: int
    events_per_second: float
    seconds_left: int | None
    active: bool


class _Switch:
    """Makes the new version active as soon as it has all that the active one has.

    Right after its progress was saved is when the new version is least behind; under steady traffic
    any other moment could find the active one ahead for ever.
    """

    def __init__(self, progress: ProgressStore, model: ModelVersion) -> None:
        self._progress = progress
        self.model = model
        self.is_near = False
        self.done = asyncio.Event()

    async def try_now(self) -> None:
        """Switch if nothing is missing; after trouble that passes the next one tries again."""
        if not self.is_near or self.done.is_set():
            return
        try:
            is_active = await self._progress.activate(self.model)
        except TransientError as error:  # such as saves under traffic, which it conflicts with
            _log.warning("not switched yet", read_model=self.model.read_model, reason=str(error))
            return
        if is_active:
            self.done.set()


class _Builder:
    """Implements `BatchHandler`: projects, and tells when projectors have taken over."""

    def __init__(self, projector: Projector, switch: _Switch):
        self._projector = projector
        self._switch = switch
        self._owned: frozenset[TopicPartition] = frozenset()
        self.handed_over = asyncio.Event()
        self.halt_reason: str | None = None

    async def assigned(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        before, self._owned = self._owned, frozenset(partitions)
        if self._switch.done.is_set():
            self._projector.is_built()
            if not before <= self._owned:
                self.handed_over.set()
        return await self._projector.assigned(partitions)

    async def handle(self, records: Sequence[Record]) -> None:
        await self._projector.handle(records)

    async def idle(self) -> None:
        await self._projector.idle()

    async def halted(self, reason: str) -> None:
        self.halt_reason = reason
        await self._projector.halted(reason)


async def rebuild(installation: Installation, name: str) -> AsyncIterator[RebuildReport]:
    """Build the next version and switch to it; yield how far it is, last of all `active`.

    When something is discarded meanwhile, which it may have applied, it is begun anew.

    Raises:
        RebuildHaltedError: an event cannot be projected that the version in use has.
    """
    projection = installation.manifest.projection(name)
    is_done = False
    while not is_done:
        model = await _next_version(installation, name)
        try:
            async for report in _built(installation, projection, model):
                yield report
            is_done = True
        except _OutdatedError:
            _log.warning("begins anew, as something was discarded", read_model=name)


async def _built(
    installation: Installation, projection: Projection, model: ModelVersion
) -> AsyncIterator[RebuildReport]:
    switch = _Switch(installation.documents.progress, model)
    target = target_of(installation, model, saved=switch.try_now)
    await create_topics(installation, projection)
    await target.prepare()
    projector = projector_of(installation, target, running=ReadModelState.REBUILDING)
    builder = _Builder(projector, switch)
    building = asyncio.create_task(runner_of(installation, model, builder).run())
    try:
        async for report in _reports(installation, switch, builder, building):
            yield report
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_S):
                await builder.handed_over.wait()
    finally:
        building.cancel()
        await asyncio.gather(building, return_exceptions=True)
        await target.abandon()


async def drop_left_versions(installation: Installation, name: str) -> list[int]:
    """Remove what readers do not use any more: every version older than the active one.

    Those, too, of which progress knows nothing since it was put back.
    """
    installation.manifest.projection(name)  # refuses a name that is none
    progress = installation.documents.progress
    active = await active_version(progress, name)
    known = {entry.model.version for entry in await versions_of(progress, name)}
    dropped = []
    for version in range(FIRST_VERSION, active.version):
        model = ModelVersion(name, version)
        target = target_of(installation, model)
        if version in known or await target.exists():
            await target.drop()
            await progress.forget(model)
            dropped.append(version)
    return dropped


async def _next_version(installation: Installation, name: str) -> ModelVersion:
    """Return the version that is being built, or begin one.

    One that has holes, that is outdated, or whose rows are lost, is begun anew.
    """
    progress = installation.documents.progress
    await active_version(progress, name)
    newest = (await versions_of(progress, name))[-1]
    if not newest.active and not await _may_hold_another(installation, newest):
        if await _can_go_on(installation, newest):
            return newest.model
        await target_of(installation, newest.model).drop()
        await progress.forget(newest.model)
    model = await _unused_version(installation, newest.model)
    await progress.register(model)
    return model


async def _may_hold_another(installation: Installation, begun: ReadModelProgress) -> bool:
    """Tell whether there are rows, perhaps, of which progress knows nothing.

    Somebody may have begun just now; or progress was put back to when the version was begun.
    """
    has_applied = any(begun.positions.values())
    return not has_applied and await target_of(installation, begun.model).exists()


async def _unused_version(installation: Installation, newest: ModelVersion) -> ModelVersion:
    """Return a later version of which nothing is left.

    Where progress was put back, a version may be left that was built after that: of a history that
    is no more, perhaps. It is not dropped here: it could be that of a rebuild which began just now.
    """
    model = ModelVersion(newest.read_model, newest.version + 1)
    while await target_of(installation, model).exists():
        model = ModelVersion(model.read_model, model.version + 1)
    return model


async def _can_go_on(installation: Installation, built: ReadModelProgress) -> bool:
    if built.holes or built.is_outdated or not await _is_whole(installation, built.model):
        return False
    return await _is_of_the_newest_timelines(installation, built)


async def _is_whole(installation: Installation, model: ModelVersion) -> bool:
    """Tell whether what a version is kept in is there; create it where nothing was applied yet."""
    target = target_of(installation, model)
    try:
        await target.prepare()
        await target.go_on()
    except LostRowsError:
        return False
    return True


async def _is_of_the_newest_timelines(installation: Installation, built: ReadModelProgress) -> bool:
    """Tell whether none of the sources was restored since the version was begun."""
    newest = await newest_by_topic(installation.event_log)
    return all(
        watermark.is_followed(built.positions, built.timelines, [topic])
        for topic, watermark in newest.items()
    )


async def _reports(
    installation: Installation,
    switch: _Switch,
    builder: _Builder,
    building: asyncio.Task[None],
) -> AsyncIterator[RebuildReport]:
    speed, model = _Speed(), switch.model
    ends: dict[TopicPartition, int] | None = None
    replayed: set[tuple[TopicPartition, str | None]] = set()
    while not switch.done.is_set():
        built, active = await _built_and_active(installation, model)
        if built.is_outdated and not built.active:
            raise _OutdatedError
        switch.is_near = ends is not None and _is_near(built, active, ends)
        ends = await installation.event_log.end_offsets(_topics(installation, model))
        report = _report(built, ends, speed)
        await switch.try_now()
        lacking = _lacking(built, active)
        if lacking is not None and lacking.key and (lacking.at, lacking.key) not in replayed:
            # A replay that went by versions has made it good.
            replayed.add((lacking.at, lacking.key))
            await replay_hole(installation, model, lacking)
            continue
        trouble = builder.halt_reason or (lacking.reason if lacking is not None else None)
        if trouble is not None and not switch.done.is_set():
            raise RebuildHaltedError(
                f"version {model.version} of {model.read_model} cannot be built: {trouble}; "
                "the version in use is untouched"
            )
        if building.done():
            building.result()
        yield report
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REPORT_INTERVAL_S):
                await switch.done.wait()
    built, _ = await _built_and_active(installation, model)
    ends = await installation.event_log.end_offsets(_topics(installation, model))
    yield msgspec.structs.replace(_report(built, ends, speed), active=True)


def _topics(installation: Installation, model: ModelVersion) -> tuple[str, ...]:
    return installation.manifest.projection(model.read_model).read_model.all_topics


def _report(
    built: ReadModelProgress, ends: Mapping[TopicPartition, int], speed: _Speed
) -> RebuildReport:
    model = built.model
    total, done = sum(ends.values()), sum(built.positions.values())
    a_second = speed.a_second(done)
    return RebuildReport(
        read_model=model.read_model,
        version=model.version,
        events_done=done,
        events_total=total,
        events_per_second=round(a_second, 1),
        seconds_left=round((total - done) / a_second) if a_second else None,
        active=False,
    )


def _is_near(
    built: ReadModelProgress, active: ReadModelProgress, ends: Mapping[TopicPartition, int]
) -> bool:
    """Tell whether asking for the switch is worth a write: less than one batch is missing.

    `ends` are those of a report before. Where the histories have parted, they must be reached, as
    the store compares nothing there.
    """
    missing = 0
    for at, end in ends.items():
        done = built.positions.get(at, 0)
        if built.has_parted(active, at):
            if done < end:
                return False
        else:
            missing += max(0, active.positions.get(at, 0) - done)
    return missing <= _NEAR_EVENTS


def _lacking(built: ReadModelProgress, active: ReadModelProgress) -> Hole | None:
    """Return something that is parked in the version that is built and not in the one in use."""
    left = left_timelines(built, active)
    lacking = (hole for hole in built.holes if not lacks_no_more([hole], active.holes, left))
    return next(lacking, None)


async def _built_and_active(
    installation: Installation, model: ModelVersion
) -> tuple[ReadModelProgress, ReadModelProgress]:
    """Return the progress of the version that is built, and of the one that readers use."""
    entries = await versions_of(installation.documents.progress, model.read_model)
    active = next(entry for entry in entries if entry.active)
    for entry in entries:
        if entry.model == model:
            return entry, active
    raise StructuralError(f"version {model.version} was dropped meanwhile; start the rebuild again")


class _Speed:
    """Events a second since the first look."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def a_second(self, done: int) -> float:
        now_s = time.monotonic()
        if self._first is None:
            self._first = (done, now_s)
        first, first_s = self._first
        return (done - first) / (now_s - first_s) if now_s - first_s > _RATE_WINDOW_MIN_S else 0.0
