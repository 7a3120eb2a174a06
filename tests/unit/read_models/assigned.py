"""Projectors that a partition was assigned to."""

from __future__ import annotations

from slackwater.consumer.timelines import Timelines
from slackwater.read_models.parking import LETTERS_MAX
from slackwater.read_models.projection import Projection
from slackwater.read_models.projector import Projector
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.target import Target
from slackwater.testing.clock import ManualClock
from tests.unit.read_models.things import AT, newest_by_topic


async def projecting_into(
    target: Target,
    projection: Projection,
    documents: SqliteDocumentStore,
    letters_max: int = LETTERS_MAX,
) -> Projector:
    """Return a projector of a projection to which the partition was assigned."""
    await target.prepare()
    projector = Projector(
        projection,
        target=target,
        progress=documents.progress,
        timelines=Timelines(newest_by_topic),
        clock=ManualClock(),
        letters_max=letters_max,
    )
    await projector.assigned([AT])
    return projector
