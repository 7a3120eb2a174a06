"""Dead letters by hand: which keys read models have parked, and with what events.

Of read models it is the versions in use that count. What consumers of services have parked is told
in the same words; see `slackwater.parts.consumer_dead_letters`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from slackwater.installation import Installation
from slackwater.read_models.dead_letters import DeadLetter, Hole
from slackwater.read_models.discards import Discard
from slackwater.read_models.paging import discards_of, holes_of
from slackwater.read_models.progress import ModelVersion, active_entry


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Which holes are meant: of a read model or consumer, a key, a topic, a kind of error.

    None is any. With a read model no consumer is meant, and with a consumer no read model.
    """

    read_model: str | None = None
    consumer: str | None = None
    key: str | None = None
    topic: str | None = None
    error: str | None = None

    def means(self, hole: Hole) -> bool:
        is_there = self.key in (None, hole.key) and self.topic in (None, hole.at.topic)
        return is_there and self.error in (None, hole.error)

    def means_discard(self, discard: Discard) -> bool:
        return self.key in (None, discard.record.key) and self.error in (None, discard.error)


class Parked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One key that is parked; `reason` is why the first of its events cannot be applied.

    It is parked of a read model, which has a version, or of a consumer.
    """

    read_model: str | None = None
    version: int | None = None
    consumer: str | None = None
    topic: str
    partition: int
    key: str
    first_offset: int
    last_offset: int
    events: int
    error: str
    reason: str


async def parked(installation: Installation, chosen: Chosen) -> AsyncIterator[Parked]:
    """Yield the chosen keys of the versions that readers use."""
    async for model, hole in chosen_holes(installation, chosen):
        yield told_as_parked(place_of(model, hole), hole)


def told_as_parked(place: Mapping[str, Any], hole: Hole) -> Parked:
    """Return what is told of a hole, in a place that is named by some fields."""
    return Parked(
        **place,
        first_offset=hole.offset,
        last_offset=hole.last_offset,
        events=hole.letters,
        error=hole.error,
        reason=hole.reason,
    )


async def letters(
    installation: Installation, chosen: Chosen, *, after: int, limit: int
) -> AsyncIterator[DeadLetter]:
    """Yield a page of the letters of each chosen key."""
    progress = installation.documents.progress
    async for model, hole in chosen_holes(installation, chosen):
        for letter in await progress.letters(model, hole, after=after, limit=limit):
            yield letter


async def discarded(
    installation: Installation, chosen: Chosen
) -> AsyncIterator[tuple[str, Discard]]:
    """Yield what was discarded, with the name of the read model that goes without it."""
    for name in await _read_models(installation, chosen):
        async for discard in discards_of(installation.documents.progress, name):
            if chosen.means_discard(discard):
                yield name, discard


async def chosen_holes(
    installation: Installation, chosen: Chosen
) -> AsyncIterator[tuple[ModelVersion, Hole]]:
    """Yield the chosen holes one by one, however many there are.

    Raises:
        StructuralError: the read model is none of the manifest's.
    """
    progress = installation.documents.progress
    for name in await _read_models(installation, chosen):
        active = active_entry(await progress.load(), name)
        if active is None:
            continue
        for at in sorted({hole.at for hole in active.holes}):
            async for hole in holes_of(progress, active.model, at):
                if chosen.means(hole):
                    yield active.model, hole


def place_of(model: ModelVersion, hole: Hole) -> dict[str, Any]:
    """Return the fields that name a read model's hole wherever one is told of."""
    return {"read_model": model.read_model, "version": model.version, **place_in_log(hole)}


def place_in_log(hole: Hole) -> dict[str, Any]:
    """Return the fields that say where a hole is, whoever's it is."""
    return {"topic": hole.at.topic, "partition": hole.at.partition, "key": hole.key}


async def _read_models(installation: Installation, chosen: Chosen) -> list[str]:
    if chosen.consumer is not None:
        return []
    if chosen.read_model is not None:
        installation.manifest.projection(chosen.read_model)  # refuses a name that is none
        return [chosen.read_model]
    entries = await installation.documents.progress.load()
    return sorted({entry.model.read_model for entry in entries})
