"""The projector of one read model: folds what the log delivers into its store.

Rows and progress are written as one (documents), or progress strictly after the index was refreshed
(search). A crash in between folds the same events again, and their versions make that harmless.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from slackwater.errors import StructuralError
from slackwater.event_log.port import Record, TopicPartition
from slackwater.events.cloudevents import from_headers
from slackwater.read_models.documents import DocumentStore, Row, RowWrite
from slackwater.read_models.fold import fold, refs_of
from slackwater.read_models.progress import (
    Claim,
    ProgressStore,
    ProgressUpdate,
    ReadModelState,
)
from slackwater.read_models.projection import Projection, Ref, Rows
from slackwater.read_models.search import SearchIndex


class Target(Protocol):
    """Where a projection's rows are kept."""

    async def load(self, collection: str, ids: Sequence[str]) -> Mapping[str, Row]: ...

    async def commit(self, rows: Sequence[RowWrite], progress: ProgressUpdate) -> None: ...


class DocumentTarget:
    """Rows and progress in one transaction."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents

    async def load(self, collection: str, ids: Sequence[str]) -> Mapping[str, Row]:
        return await self._documents.get(collection, ids)

    async def commit(self, rows: Sequence[RowWrite], progress: ProgressUpdate) -> None:
        await self._documents.commit(rows, progress)


class SearchTarget:
    """Rows first, then a refresh, then progress: what progress covers can be found.

    A row that was only read is refreshed as well. It may be newer than the events at hand because a
    projector that died, or was replaced, wrote it and never came to its refresh; then there is
    nothing left to write, and progress would cover what cannot be found.
    """

    def __init__(self, search: SearchIndex, progress: ProgressStore) -> None:
        self._search = search
        self._progress = progress
        self._unrefreshed: set[str] = set()

    async def load(self, collection: str, ids: Sequence[str]) -> Mapping[str, Row]:
        self._unrefreshed.add(collection)
        return await self._search.get(collection, ids)

    async def commit(self, rows: Sequence[RowWrite], progress: ProgressUpdate) -> None:
        by_index: defaultdict[str, list[RowWrite]] = defaultdict(list)
        for row in rows:
            by_index[row.collection].append(row)
        for index, writes in by_index.items():
            self._unrefreshed.add(index)
            await self._search.write(index, writes)
        await self._refresh()
        await self._progress.save(progress)

    async def _refresh(self) -> None:
        """Refresh what was read or written since the last refresh; at once when nothing was."""
        for index in sorted(self._unrefreshed):
            await self._search.refresh(index)
            self._unrefreshed.remove(index)


class Projector:
    """Implements `BatchHandler` for a projection."""

    def __init__(self, projection: Projection, *, target: Target, progress: ProgressStore) -> None:
        self._projection = projection
        self._target = target
        self._progress = progress
        self._claim: Claim | None = None

    async def assigned(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        name = self._projection.name
        self._claim = await self._progress.claim(name, sorted(partitions))
        await self._progress.set_state(name, ReadModelState.RUNNING)
        return self._claim.positions

    async def handle(self, records: Sequence[Record]) -> None:
        if self._claim is None:
            raise StructuralError("records came before an assignment; the log adapter is wrong")
        events = [from_headers(record.topic, record.headers, record.value) for record in records]
        rows = Rows(await self._load(refs_of(self._projection, events)))
        applied = fold(self._projection, rows, events)
        await self._target.commit(
            rows.writes(),
            ProgressUpdate(
                claim=self._claim,
                positions={record.topic_partition: record.offset + 1 for record in records},
                events_applied=applied,
            ),
        )

    async def halted(self, reason: str) -> None:
        await self._progress.set_state(self._projection.name, ReadModelState.HALTED, reason)

    async def _load(self, refs: Collection[Ref]) -> dict[Ref, Row]:
        ids: defaultdict[str, list[str]] = defaultdict(list)
        for ref in refs:
            ids[ref.collection].append(ref.id)
        return {
            Ref(collection, row_id): row
            for collection, wanted in ids.items()
            for row_id, row in (await self._target.load(collection, wanted)).items()
        }
