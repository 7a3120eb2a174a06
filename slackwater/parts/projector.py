"""A projector as a part: one projection on the consumer runner."""

from __future__ import annotations

from slackwater.consumer.runner import ConsumerRunner
from slackwater.event_log.port import Topic
from slackwater.installation import Installation
from slackwater.read_models.projection import Projection
from slackwater.read_models.projector import DocumentTarget, Projector, SearchTarget, Target


async def run_projector(installation: Installation, name: str) -> None:
    """Project until cancelled; a poisonous event halts the read model visibly."""
    projection = installation.manifest.projection(name)
    await _prepare(installation, projection)
    progress = installation.documents.progress
    projector = Projector(projection, target=_target(installation, projection), progress=progress)
    await ConsumerRunner(
        f"projector.{name}.v{projection.read_model.version}",
        topics=projection.read_model.all_topics,
        log=installation.event_log,
        handler=projector,
    ).run()


async def _prepare(installation: Installation, projection: Projection) -> None:
    await installation.event_log.create_topics(_topics(projection))
    await installation.documents.prepare(projection.collections)
    if projection.index is not None:
        await installation.search.prepare(projection.index)
    read_model = projection.read_model
    await installation.documents.progress.register(read_model.name, read_model.version)


def _topics(projection: Projection) -> list[Topic]:
    wanted = set(projection.read_model.all_topics)
    return [topic for topic in projection.event_types.topics if topic.name in wanted]


def _target(installation: Installation, projection: Projection) -> Target:
    if projection.index is not None:
        return SearchTarget(installation.search, installation.documents.progress)
    return DocumentTarget(installation.documents)
