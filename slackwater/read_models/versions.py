"""Which version of a read model readers use, and which ones there are beside it."""

from __future__ import annotations

from slackwater.read_models.progress import (
    ModelVersion,
    ProgressStore,
    ReadModelProgress,
    active_entry,
)


async def active_version(progress: ProgressStore, read_model: str) -> ModelVersion:
    """Return the version that readers use; the first one is registered where there is none."""
    entry = active_entry(await progress.load(), read_model)
    if entry is None:
        await progress.register(ModelVersion(read_model))
        return await active_version(progress, read_model)
    return entry.model


async def versions_of(progress: ProgressStore, read_model: str) -> list[ReadModelProgress]:
    """Return every version's progress, the oldest first."""
    entries = [each for each in await progress.load() if each.model.read_model == read_model]
    return sorted(entries, key=lambda entry: entry.model.version)
