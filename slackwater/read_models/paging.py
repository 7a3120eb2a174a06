"""Walks through what is kept of very many, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from slackwater.event_log.port import TopicPartition
from slackwater.read_models.dead_letters import Hole
from slackwater.read_models.discards import Discard, Discards
from slackwater.read_models.progress import ModelVersion, ProgressStore

T = TypeVar("T")

_PAGE = 1_000


async def paged(
    page_behind: Callable[[T | None, int], Awaitable[Sequence[T] | None]],
) -> AsyncIterator[T]:
    """Yield everything; `page_behind` returns so many that come behind one, at first behind None.

    What is removed meanwhile keeps nothing else from being yielded.
    """
    after: T | None = None
    while page := await page_behind(after, _PAGE):
        for each in page:
            yield each
        after = page[-1]


def holes_of(
    progress: ProgressStore, model: ModelVersion, at: TopicPartition
) -> AsyncIterator[Hole]:
    """Yield every hole of a version in a partition."""
    return paged(
        lambda after, limit: progress.holes(
            model, at, after=(after and after.key) or "", limit=limit
        )
    )


def discards_of(progress: ProgressStore, read_model: str) -> AsyncIterator[Discard]:
    """Yield everything that was discarded of a read model, in the order of the log."""
    return paged(lambda after, limit: progress.discards(read_model, after=after, limit=limit))


async def all_discards(progress: ProgressStore, read_model: str) -> Discards:
    """Return what must be known of a read model's discards to fold its events."""
    known = Discards()
    async for discard in discards_of(progress, read_model):
        known.add(discard)
    return known
