"""The projector of one read model: folds what the log delivers into its store.

Rows and progress are written as one (documents), or progress strictly after the index was refreshed
(search), while folding goes on. A crash in between folds the same events again, and their versions
make that harmless. Events of another timeline than the one that is followed are never folded: the
projection halts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from slackwater import metrics
from slackwater.consumer.timelines import PartedError, Timelines
from slackwater.errors import StructuralError
from slackwater.event_log.port import Record, TopicPartition
from slackwater.events.cloudevents import from_headers
from slackwater.read_models.documents import Row
from slackwater.read_models.fold import fold, refs_of
from slackwater.read_models.progress import (
    Claim,
    ProgressStore,
    ProgressUpdate,
    ReadModelState,
)
from slackwater.read_models.projection import Projection, Ref, Rows
from slackwater.read_models.target import Target


class Projector:
    """Implements `BatchHandler` for one version of a projection."""

    def __init__(
        self,
        projection: Projection,
        *,
        target: Target,
        progress: ProgressStore,
        timelines: Timelines,
        running: ReadModelState = ReadModelState.RUNNING,
    ) -> None:
        self._projection = projection
        self._target = target
        self._progress = progress
        self._timelines = timelines
        self._running = running
        self._claim: Claim | None = None

    async def assigned(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        model = self._target.model
        await self._target.abandon()
        self._claim = await self._progress.claim(model, sorted(partitions))
        await self._progress.set_state(model, self._running)
        with self._remedy():
            begun = await self._timelines.assigned(self._claim.positions, self._claim.timelines)
        if not begun:
            return self._claim.positions
        beginnings = {at: followed.beginning for at, followed in begun.items()}
        await self._progress.save(self._update(self._claim, beginnings))
        return self._claim.positions | beginnings

    async def handle(self, records: Sequence[Record]) -> None:
        if self._claim is None:
            raise StructuralError("records came before an assignment; the log adapter is wrong")
        read_model = self._target.model.read_model
        with metrics.PROJECTOR_BATCH.labels(read_model).time():
            applied = await self._apply(self._claim, records)
        metrics.PROJECTOR_EVENTS.labels(read_model).inc(applied)

    async def _apply(self, claim: Claim, records: Sequence[Record]) -> int:
        with self._remedy():
            admitted = await self._timelines.admit(records)
        events = [from_headers(record.topic, record.headers, record.value) for record in admitted]
        rows = Rows(await self._load(refs_of(self._projection, events)))
        applied = fold(self._projection, rows, events)
        await self._target.commit(
            rows.writes(),
            self._update(
                claim,
                {record.topic_partition: record.offset + 1 for record in records},
                events_applied=applied,
            ),
        )
        return applied

    async def halted(self, reason: str) -> None:
        await self._progress.set_state(self._target.model, ReadModelState.HALTED, reason)

    def is_built(self) -> None:
        """Take the version for one in use from now on."""
        self._running = ReadModelState.RUNNING

    def _update(
        self, claim: Claim, positions: Mapping[TopicPartition, int], *, events_applied: int = 0
    ) -> ProgressUpdate:
        return ProgressUpdate(
            claim=claim,
            positions=positions,
            timelines=self._timelines.of(positions),
            events_applied=events_applied,
        )

    @contextmanager
    def _remedy(self) -> Iterator[None]:
        """Say what mends a read model that has folded a history which is no more."""
        try:
            yield
        except PartedError as error:
            raise StructuralError(
                f"{error.source} was restored or its log was lost, and what was folded of it is no "
                f"more; run `slackwater rebuild {self._projection.name}`"
            ) from error

    async def _load(self, refs: Collection[Ref]) -> dict[Ref, Row]:
        ids: defaultdict[str, list[str]] = defaultdict(list)
        for ref in refs:
            ids[ref.collection].append(ref.id)
        return {
            Ref(collection, row_id): row
            for collection, wanted in ids.items()
            for row_id, row in (await self._target.load(collection, wanted)).items()
        }
