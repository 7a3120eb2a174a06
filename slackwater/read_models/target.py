"""Where one version of a read model keeps its rows: in documents, or in a search index.

Each version has collections of its own, so the next one is built while readers use this one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from msgspec.structs import replace

from slackwater.errors import FencedError, StructuralError
from slackwater.event_log.port import TopicPartition
from slackwater.read_models.documents import (
    Collection,
    DocumentStore,
    Row,
    RowWrite,
    UnknownCollectionError,
)
from slackwater.read_models.progress import (
    ModelVersion,
    ProgressStore,
    ProgressUpdate,
    ReadModelProgress,
    went_back,
)
from slackwater.read_models.projection import Ref
from slackwater.read_models.search import (
    ChangedIndexError,
    Index,
    LostWritesError,
    SearchIndex,
    UnknownIndexError,
)
from slackwater.read_models.showing import Saved, Showing, nothing


class LostRowsError(StructuralError):
    """What a version is kept in is not there, though it has applied events; only a rebuild helps.

    To create it anew would pass nothing for everything.
    """

    def __init__(self, model: ModelVersion, missing: str) -> None:
        self.model = model
        super().__init__(
            f"version {model.version} of read model {model.read_model} has applied events, but "
            f"{missing} is not there: it was dropped, lost or put back to a backup, or is new in "
            f"the projection; build the next version: slackwater rebuild {model.read_model}"
        )


class Target(Protocol):
    """Where a projection's rows are kept; collections go by the names of the projection."""

    @property
    def model(self) -> ModelVersion: ...

    async def prepare(self) -> None:
        """Create what is missing; keep what is there.

        Raises:
            LostRowsError: something was applied, so that nothing may be missing.
        """
        ...

    async def exists(self) -> bool:
        """Tell whether anything of it is there."""
        ...

    async def go_on(self) -> None:
        """Make sure that what progress covers is there, before anything is written behind it.

        Raises:
            LostRowsError: it is not.
        """
        ...

    async def look(self, handled: Mapping[TopicPartition, int]) -> None:
        """Make sure that what was committed is there still, while nothing comes that shows it.

        Raises:
            FencedError: progress is not as far as what was handled; go on from where it is.
            LostRowsError: what progress covers is not there.
        """
        ...

    async def load(self, collection: str, ids: Sequence[str]) -> Mapping[str, Row]: ...

    async def commit(self, rows: Sequence[RowWrite], progress: ProgressUpdate) -> None:
        """Make rows durable, and progress with them or some time after them.

        Raises:
            TransientError: not all is done; fold again.
            FencedError: somebody else has claimed a partition; an earlier commit may have met that.
        """
        ...

    async def settled(self) -> None:
        """Return once readers see the rows of every commit; raise what kept them from it."""
        ...

    async def abandon(self) -> None:
        """Give up progress that is not saved yet: what it covers will be handed over again."""
        ...

    async def drop(self) -> None:
        """Remove all rows."""
        ...


async def load_rows(target: Target, refs: Iterable[Ref]) -> dict[Ref, Row]:
    """Return those of the rows that exist, as they are stored."""
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for ref in refs:
        ids[ref.collection].append(ref.id)
    return {
        Ref(collection, row_id): row
        for collection, wanted in ids.items()
        for row_id, row in (await target.load(collection, wanted)).items()
    }


class DocumentTarget:
    """Rows and progress in one transaction."""

    def __init__(
        self,
        model: ModelVersion,
        collections: Sequence[Collection],
        documents: DocumentStore,
        saved: Saved = nothing,
    ) -> None:
        """`saved` is awaited each time that progress was saved."""
        self.model = model
        self._saved = saved
        self._collections = [
            replace(each, name=model.stored_name(each.name)) for each in collections
        ]
        self._documents = documents

    async def prepare(self) -> None:
        if await _has_applied(self._documents.progress, self.model):
            with _as_lost(self.model):
                for each in self._collections:
                    await self._documents.require(each.name)
        await self._documents.prepare(self._collections)

    async def exists(self) -> bool:
        for each in self._collections:
            with suppress(UnknownCollectionError):
                await self._documents.require(each.name)
                return True
        return False

    async def go_on(self) -> None:
        """Rows and progress go back together."""

    async def look(self, handled: Mapping[TopicPartition, int]) -> None:
        await _require_progress(self._documents.progress, self.model, handled)

    async def load(self, collection: str, ids: Sequence[str]) -> Mapping[str, Row]:
        return await self._documents.get(self.model.stored_name(collection), ids)

    async def commit(self, rows: Sequence[RowWrite], progress: ProgressUpdate) -> None:
        await self._documents.commit(_stored(self.model, rows), progress)
        await self._saved()

    async def settled(self) -> None:
        """Every commit is seen at once."""

    async def abandon(self) -> None:
        """Every commit saves its progress."""

    async def drop(self) -> None:
        await self._documents.drop([each.name for each in self._collections])


class SearchTarget:
    """Rows first, then a refresh, then progress: what progress covers can be found.

    A row that was only read is confirmed by every copy in sync, and refreshed as well. It may be
    newer than the events at hand because a projector that died, or was replaced, wrote it and never
    came to its refresh, or because a write of ours broke off. Then there is nothing new to write,
    and progress would cover what cannot be found, or what is on one copy alone and goes with it.
    What is parked or discarded is durable before progress passes it.

    Folding goes on while a refresh is waited for.
    """

    def __init__(
        self,
        model: ModelVersion,
        index: Index,
        search: SearchIndex,
        progress: ProgressStore,
        saved: Saved = nothing,
    ) -> None:
        """`saved` is awaited each time that progress was saved."""
        self.model = model
        self._saved = saved
        self._index = replace(index, name=model.stored_name(index.name))
        self._search = search
        self._progress = progress
        self._showing = Showing(self._show, progress, saved)
        self._was_touched = False
        self._read: dict[str, int] = {}

    async def prepare(self) -> None:
        is_empty = not await _has_applied(self._progress, self.model)
        with _as_lost(self.model):
            await self._search.prepare(self._index, may_create=is_empty)

    async def exists(self) -> bool:
        try:
            await self._search.prepare(self._index, may_create=False)
        except UnknownIndexError:
            return False
        except ChangedIndexError:
            return True
        return True

    async def go_on(self) -> None:
        stamp = await self._saved_stamp()
        self._search.resume(self._index.name, stamp or "")
        if stamp is not None:
            await self._show()

    async def look(self, handled: Mapping[TopicPartition, int]) -> None:
        self._showing.raise_failure()
        if self._showing.is_idle:
            await _require_progress(self._progress, self.model, handled)
            await self.go_on()  # nothing is pending: what is saved is all that was shown

    async def load(self, collection: str, ids: Sequence[str]) -> Mapping[str, Row]:
        self._was_touched = True
        rows = await self._search.get(self.model.stored_name(collection), ids)
        self._read = {row_id: row.version for row_id, row in rows.items()}
        return rows

    async def commit(self, rows: Sequence[RowWrite], progress: ProgressUpdate) -> None:
        self._showing.raise_failure()
        if progress.parked or progress.discarded:
            await self._progress.save(_without_positions(progress))
            progress = replace(progress, parked=(), discarded=())
        read, self._read = self._read, {}
        if rows:
            self._was_touched = True
            await self._search.write(self._index.name, _stored(self.model, rows))
        written = {row.id for row in rows}
        only_read = {row_id: version for row_id, version in read.items() if row_id not in written}
        if only_read:
            await self._search.confirm(self._index.name, only_read)
        if self._was_touched or not self._showing.is_idle:
            self._was_touched = False
            self._showing.add(progress)
        else:
            await self._progress.save(progress)
            await self._saved()

    async def settled(self) -> None:
        """Return once the progress of every commit is saved; raise what made showing end."""
        await self._showing.settled()

    async def abandon(self) -> None:
        self._read = {}
        await self._showing.abandon()

    async def _show(self) -> str:
        with _as_lost(self.model):
            return await self._search.refresh(self._index.name, self._saved_stamp)

    async def _saved_stamp(self) -> str | None:
        entry = await _entry_of(self._progress, self.model)
        return entry.stamp if entry is not None else None

    async def drop(self) -> None:
        await self._search.drop(self._index.name)


async def _require_progress(
    progress: ProgressStore, model: ModelVersion, handled: Mapping[TopicPartition, int]
) -> None:
    """See that progress is as far as what was handled, unless the version was dropped."""
    entry = await _entry_of(progress, model)
    if entry is not None and went_back(handled, entry.positions):
        raise FencedError(f"progress of {model.read_model} was put back; it goes on from there")


async def _has_applied(progress: ProgressStore, model: ModelVersion) -> bool:
    entry = await _entry_of(progress, model)
    return entry is not None and any(entry.positions.values())


async def _entry_of(progress: ProgressStore, model: ModelVersion) -> ReadModelProgress | None:
    return next((each for each in await progress.load() if each.model == model), None)


@contextmanager
def _as_lost(model: ModelVersion) -> Iterator[None]:
    try:
        yield
    except UnknownCollectionError as error:
        raise LostRowsError(model, f"collection {error.collection}") from error
    except UnknownIndexError as error:
        raise LostRowsError(model, f"search index {error.index}") from error
    except LostWritesError as error:
        raise LostRowsError(model, f"what was put into search index {error.index}") from error


def _without_positions(progress: ProgressUpdate) -> ProgressUpdate:
    """Return an update that parks and discards, and moves no position."""
    partitions = {letter.record.topic_partition for letter in progress.parked}
    return replace(
        progress,
        positions=dict.fromkeys(partitions, 0),
        moves_from={},
        timelines={},
        events_applied=0,
    )


def _stored(model: ModelVersion, rows: Sequence[RowWrite]) -> list[RowWrite]:
    return [replace(row, collection=model.stored_name(row.collection)) for row in rows]
