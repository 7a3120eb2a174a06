"""Dead letters by hand: which keys the versions in use have parked, and with what events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from slackwater.installation import Installation
from slackwater.read_models.dead_letters import DeadLetter, Hole
from slackwater.read_models.discards import Discard
from slackwater.read_models.paging import discards_of, holes_of
from slackwater.read_models.progress import ModelVersion, active_entry


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Which holes are meant: of a read model, a key, a topic, a kind of error; None is any."""

    read_model: str | None = None
    key: str | None = None
    topic: str | None = None
    error: str | None = None

    def means(self, hole: Hole) -> bool:
        is_there = self.key in (None, hole.key) and self.topic in (None, hole.at.topic)
        return is_there and self.error in (None, hole.error)


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """One key that is parked; `reason` is why the first of its events cannot be applied."""

    read_model: str
    version: int
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
        yield Parked(
            **place_of(model, hole),
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
            is_meant = chosen.key in (None, discard.record.key)
            if is_meant and chosen.error in (None, discard.error):
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
    """Return the fields that name a hole wherever one is told of."""
    assert hole.key is not None
    return {
        "read_model": model.read_model,
        "version": model.version,
        "topic": hole.at.topic,
        "partition": hole.at.partition,
        "key": hole.key,
    }


async def _read_models(installation: Installation, chosen: Chosen) -> list[str]:
    if chosen.read_model is not None:
        installation.manifest.projection(chosen.read_model)  # refuses a name that is none
        return [chosen.read_model]
    entries = await installation.documents.progress.load()
    return sorted({entry.model.read_model for entry in entries})
