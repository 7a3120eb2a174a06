"""Where one version of a read model keeps its rows: in documents, or in a search index.

Each version has collections of its own, so the next one is built while readers use this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from msgspec.structs import replace

from slackwater.errors import TransientError
from slackwater.read_models.documents import Collection, DocumentStore, Row, RowWrite
from slackwater.read_models.progress import ModelVersion, ProgressStore, ProgressUpdate
from slackwater.read_models.search import Index, SearchIndex

_REFRESH_SOON_S = 0.02


class Target(Protocol):
    """Where a projection's rows are kept; collections go by the names of the projection."""

    @property
    def model(self) -> ModelVersion: ...

    async def prepare(self) -> None:
        """Create what is missing; keep what is there."""
        ...

    async def load(self, collection: str, ids: Sequence[str]) -> Mapping[str, Row]: ...

    async def commit(self, rows: Sequence[RowWrite], progress: ProgressUpdate) -> None: ...

    async def drop(self) -> None:
        """Remove all rows."""
        ...


class DocumentTarget:
    """Rows and progress in one transaction."""

    def __init__(
        self, model: ModelVersion, collections: Sequence[Collection], documents: DocumentStore
    ) -> None:
        self.model = model
        self._collections = [
            replace(each, name=model.stored_name(each.name)) for each in collections
        ]
        self._documents = documents

    async def prepare(self) -> None:
        await self._documents.prepare(self._collections)

    async def load(self, collection: str, ids: Sequence[str]) -> Mapping[str, Row]:
        return await self._documents.get(self.model.stored_name(collection), ids)

    async def commit(self, rows: Sequence[RowWrite], progress: ProgressUpdate) -> None:
        await self._documents.commit(_stored(self.model, rows), progress)

    async def drop(self) -> None:
        await self._documents.drop([each.name for each in self._collections])


class SearchTarget:
    """Rows first, then a refresh, then progress: what progress covers can be found.

    A row that was only read is refreshed as well. It may be newer than the events at hand because a
    projector that died, or was replaced, wrote it and never came to its refresh; then there is
    nothing left to write, and progress would cover what cannot be found.

    While a refresh keeps it waiting it says so beside progress: that is what limits a bound then.
    """

    def __init__(
        self, model: ModelVersion, index: Index, search: SearchIndex, progress: ProgressStore
    ) -> None:
        self.model = model
        self._index = replace(index, name=model.stored_name(index.name))
        self._search = search
        self._progress = progress
        self._is_refreshed = True

    async def prepare(self) -> None:
        await self._search.prepare(self._index)

    async def load(self, collection: str, ids: Sequence[str]) -> Mapping[str, Row]:
        self._is_refreshed = False
        return await self._search.get(self.model.stored_name(collection), ids)

    async def commit(self, rows: Sequence[RowWrite], progress: ProgressUpdate) -> None:
        if rows:
            self._is_refreshed = False
            await self._search.write(self._index.name, _stored(self.model, rows))
        if not self._is_refreshed:
            await self._refresh(progress)
            self._is_refreshed = True
        await self._progress.save(progress)

    async def _refresh(self, progress: ProgressUpdate) -> None:
        refreshing = asyncio.ensure_future(self._search.refresh(self._index.name))
        try:
            done, _ = await asyncio.wait({refreshing}, timeout=_REFRESH_SOON_S)
            if not done:
                with suppress(TransientError):  # only a note
                    await self._progress.note_written(progress)
            await refreshing
        finally:
            refreshing.cancel()

    async def drop(self) -> None:
        await self._search.drop(self._index.name)


def _stored(model: ModelVersion, rows: Sequence[RowWrite]) -> list[RowWrite]:
    return [replace(row, collection=model.stored_name(row.collection)) for row in rows]
