"""A projector as a part: one projection on the consumer runner."""

from __future__ import annotations

import asyncio

from slackwater.consumer.runner import BatchHandler, ConsumerRunner
from slackwater.consumer.timelines import Timelines
from slackwater.errors import TransientError
from slackwater.installation import Installation
from slackwater.logs import logger
from slackwater.read_models.progress import ModelVersion, ProgressStore, ReadModelState
from slackwater.read_models.projection import Projection
from slackwater.read_models.projector import Projector
from slackwater.read_models.showing import Saved, nothing
from slackwater.read_models.target import (
    DocumentTarget,
    LostRowsError,
    SearchTarget,
    Target,
)
from slackwater.read_models.versions import active_version
from slackwater.watermarks.newest import newest_by_topic
from slackwater.watermarks.record import WATERMARKS

_LOOK_INTERVAL_S = 0.5
_log = logger("projector")


async def run_projector(installation: Installation, name: str) -> None:
    """Project into the version that readers use until cancelled.

    After a rebuild the new version is gone on with.
    """
    while True:
        model = await active_version(installation.documents.progress, name)
        projecting = asyncio.create_task(_project(installation, model), name=f"project {name}")
        switching = asyncio.create_task(_switched(installation, model))
        try:
            await asyncio.wait({projecting, switching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (projecting, switching):
                task.cancel()
            outcomes = await asyncio.gather(projecting, switching, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        _log.info("readers use another version", read_model=name, left=model.version)


async def prepare_active(installation: Installation, name: str) -> ModelVersion:
    """Create what the version that readers use is kept in; return that version.

    Raises:
        LostRowsError: it was there, and is not any more.
    """
    model = await active_version(installation.documents.progress, name)
    await target_of(installation, model).prepare()
    return model


def target_of(installation: Installation, model: ModelVersion, saved: Saved = nothing) -> Target:
    """Return where a version of a read model is kept; `saved` is awaited after saving progress."""
    projection = installation.manifest.projection(model.read_model)
    documents = installation.documents
    if projection.index is None:
        return DocumentTarget(model, projection.collections, documents, saved)
    return SearchTarget(model, projection.index, installation.search, documents.progress, saved)


def runner_of(
    installation: Installation, model: ModelVersion, handler: BatchHandler
) -> ConsumerRunner:
    """Return the consumer that hands the read model's events to `handler`."""
    return ConsumerRunner(
        f"projector.{model.read_model}.v{model.version}",
        topics=installation.manifest.projection(model.read_model).read_model.all_topics,
        log=installation.event_log,
        handler=handler,
    )


async def create_topics(installation: Installation, projection: Projection) -> None:
    """Create the topics that a projection reads, where its sources have not done so yet."""
    await installation.event_log.create_topics([*projection.topics, WATERMARKS])


def projector_of(
    installation: Installation, target: Target, *, running: ReadModelState = ReadModelState.RUNNING
) -> Projector:
    """Return what folds events into `target`."""
    log = installation.event_log
    return Projector(
        installation.manifest.projection(target.model.read_model),
        target=target,
        progress=installation.documents.progress,
        timelines=Timelines(lambda: newest_by_topic(log)),
        clock=installation.clock,
        running=running,
    )


async def _project(installation: Installation, model: ModelVersion) -> None:
    projection = installation.manifest.projection(model.read_model)
    await create_topics(installation, projection)
    target = target_of(installation, model)
    try:
        await target.prepare()
    except LostRowsError as error:
        await _halt_as_lost(installation.documents.progress, error)
    projector = projector_of(installation, target)
    try:
        await runner_of(installation, model, projector).run()
    finally:
        await target.abandon()


async def _halt_as_lost(progress: ProgressStore, error: LostRowsError) -> None:
    """Say what is lost, and do nothing more until readers use another version."""
    _log.error("read model is lost", read_model=error.model.read_model, reason=str(error))
    await progress.set_state(error.model, ReadModelState.HALTED, str(error))
    await asyncio.Event().wait()


async def _switched(installation: Installation, model: ModelVersion) -> None:
    """Return once readers use another version.

    It looks by itself: a store has one waiter, which in one process is the gateway.
    """
    while True:
        await asyncio.sleep(_LOOK_INTERVAL_S)
        try:
            if await installation.documents.progress.active(model.read_model) != model.version:
                return
        except TransientError as error:
            _log.warning("progress cannot be read", reason=str(error))
