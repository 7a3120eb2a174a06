"""Pages through what a progress store holds very many of."""

from __future__ import annotations

from collections.abc import AsyncIterator

from slackwater.event_log.port import TopicPartition
from slackwater.read_models.dead_letters import Hole
from slackwater.read_models.discards import Discard, Discards
from slackwater.read_models.progress import ModelVersion, ProgressStore

_PAGE = 1_000


async def holes_of(
    progress: ProgressStore, model: ModelVersion, at: TopicPartition
) -> AsyncIterator[Hole]:
    """Yield every hole of a version in a partition; closing one meanwhile skips no other."""
    after = ""
    while page := await progress.holes(model, at, after=after, limit=_PAGE):
        for hole in page:
            yield hole
        after = page[-1].key or ""


async def discards_of(progress: ProgressStore, read_model: str) -> AsyncIterator[Discard]:
    """Yield everything that was discarded of a read model, in the order of the log."""
    after: Discard | None = None
    while page := await progress.discards(read_model, after=after, limit=_PAGE):
        for discard in page:
            yield discard
        after = page[-1]


async def all_discards(progress: ProgressStore, read_model: str) -> Discards:
    """Return what must be known of a read model's discards to fold its events."""
    known = Discards()
    async for discard in discards_of(progress, read_model):
        known.add(discard)
    return known
