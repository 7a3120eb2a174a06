"""The projector of one read model: folds what the log delivers into its store.

Rows and progress are written as one (documents), or progress strictly after the index was refreshed
(search), while folding goes on. A crash in between folds the same events again, and their versions
make that harmless. Events of another timeline than the one that is followed are never folded: the
projection halts.

    batch ─► fold ─► commit ─► next batch
               │        │ refused
               └─ poison┴─► each half by itself ─► … ─► the one event, parked with the progress

A poisonous event is found by halving its batch, so that every other event is applied in its turn.
What comes later of its key is parked behind it. Only an event without a key halts the projection:
nobody knows what must wait behind it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from slackwater import metrics
from slackwater.clock import Clock
from slackwater.consumer.timelines import PartedError, Timelines
from slackwater.errors import (
    ConflictError,
    PoisonousEventError,
    StructuralError,
    TransientError,
)
from slackwater.event_log.port import Record, TopicPartition
from slackwater.logs import logger
from slackwater.read_models.dead_letters import DeadLetter
from slackwater.read_models.discards import NO_DISCARDS
from slackwater.read_models.documents import Row, RowWrite
from slackwater.read_models.fold import fold, refs_of
from slackwater.read_models.paging import all_discards, holes_of
from slackwater.read_models.parking import LETTERS_MAX, Parking
from slackwater.read_models.progress import (
    Claim,
    ProgressStore,
    ProgressUpdate,
    ReadModelState,
    UnknownReadModelError,
    furthest,
)
from slackwater.read_models.projection import Projection, Ref, Rows
from slackwater.read_models.remembered_rows import RememberedRows
from slackwater.read_models.target import Target, load_rows

_LOOK_INTERVAL_S = 5.0
_log = logger("projector")


class KeylessEventError(StructuralError):
    """A record has no key and cannot be applied, so nobody knows what must wait behind it."""

    def __init__(self, read_model: str, record: Record, reason: object = "") -> None:
        at = f"--topic {record.topic} --partition {record.partition} --offset {record.offset}"
        super().__init__(
            f"a record without a key cannot be applied, and what must wait behind it nobody knows"
            f"{reason and f' ({reason})'}; mend its producer, leave it out with `slackwater "
            f"dead-letter discard {read_model} {at} --why …`, and restart the projector"
        )


class Projector:
    """Implements `BatchHandler` for one version of a projection."""

    def __init__(
        self,
        projection: Projection,
        *,
        target: Target,
        progress: ProgressStore,
        timelines: Timelines,
        clock: Clock,
        running: ReadModelState = ReadModelState.RUNNING,
        letters_max: int = LETTERS_MAX,
    ) -> None:
        """`letters_max` bounds how many events of each partition are parked."""
        self._projection = projection
        self._target = target
        self._progress = progress
        self._timelines = timelines
        self._clock = clock
        self._running = running
        self._letters_max = letters_max
        self._claim: Claim | None = None
        self._handled: dict[TopicPartition, int] = {}
        self._looked_s = -math.inf
        self._parking: Parking | None = None
        self._discards = NO_DISCARDS
        self._remembered = RememberedRows()

    async def assigned(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        model = self._target.model
        await self._target.abandon()
        self._remembered = RememberedRows()
        self._claim = await self._progress.claim(model, sorted(partitions))
        self._handled = {**self._claim.positions}
        self._parking = None
        await self._progress.set_state(model, self._running)
        await self._target.go_on()
        with self._remedy():
            begun = await self._timelines.assigned(self._claim.positions, self._claim.timelines)
        if not begun:
            return self._claim.positions
        beginnings = {at: followed.beginning for at, followed in begun.items()}
        await self._progress.save(self._update(self._claim, beginnings))
        self._handled |= beginnings
        return self._claim.positions | beginnings

    async def handle(self, records: Sequence[Record]) -> None:
        if self._claim is None:
            raise StructuralError("records came before an assignment; the log adapter is wrong")
        read_model = self._target.model.read_model
        with metrics.PROJECTOR_BATCH.labels(read_model).time():
            applied = await self._apply(self._claim, records)
        metrics.PROJECTOR_EVENTS.labels(read_model).inc(applied)

    async def _apply(self, claim: Claim, records: Sequence[Record]) -> int:
        """Apply records in their order and park what is poisonous; return how many were new."""
        try:
            return await self._apply_together(claim, records)
        except PoisonousEventError as error:
            if len(records) == 1:
                await self._park(claim, records[0], error)
                return 0
        half = len(records) // 2
        before = await self._apply(claim, records[:half])
        return before + await self._apply(claim, records[half:])

    async def _apply_together(
        self, claim: Claim, records: Sequence[Record], failed_on: Mapping[Ref, Row] | None = None
    ) -> int:
        """Apply records to rows as they are remembered; if that fails, to the stored ones.

        `failed_on` is what was recalled for the first try.
        """
        parking = await self._parking_of(claim)
        with self._remedy():
            admitted = await self._timelines.admit(records)
        free, behind = parking.split(admitted)
        events = self._discards.read(free)
        refs = refs_of(self._projection, events)
        recalled = self._remembered.recall(refs)
        stored = await load_rows(self._target, refs - recalled.keys())
        self._remembered.share(_changed(failed_on or {}, stored))
        rows = Rows({**stored, **recalled})
        try:
            applied = fold(self._projection, rows, events, self._discards)
            positions = {record.topic_partition: record.offset + 1 for record in records}
            update = self._update(claim, positions, events_applied=applied, parked=behind)
            written = rows.writes()
            await self._commit(written, update)
        except (PoisonousEventError, ConflictError):
            if not recalled:
                raise
            return await self._apply_together(claim, records, failed_on=recalled)
        if self._projection.index is None:  # what is loaded from an index has to be shown
            self._remembered.remember(written)
        return applied

    async def _park(self, claim: Claim, record: Record, error: PoisonousEventError) -> None:
        if not record.key:
            raise KeylessEventError(self._projection.name, record, error) from error
        letter = (await self._parking_of(claim)).letter(record, error)
        positions = {record.topic_partition: record.offset + 1}
        await self._commit([], self._update(claim, positions, parked=[letter]))
        read_model = self._target.model.read_model
        metrics.PROJECTOR_POISON.labels(read_model, letter.error).inc()
        _log.error("event parked", read_model=read_model, key=record.key, reason=str(error))

    async def _commit(self, rows: Sequence[RowWrite], update: ProgressUpdate) -> None:
        parking = await self._parking_with_room(update)
        try:
            await self._target.commit(rows, update)
        except TransientError:
            self._parking = None  # it may be saved all the same, and a hole closed meanwhile
            raise
        self._handled = furthest(self._handled, update.positions)
        parking.take(update.parked)

    async def _parking_with_room(self, update: ProgressUpdate) -> Parking:
        parking = await self._parking_of(update.claim)
        if not parking.has_room(update.parked):
            self._parking = None  # somebody may have closed a hole
            parking = await self._parking_of(update.claim)
            parking.check_room(update.parked)
        return parking

    async def _parking_of(self, claim: Claim) -> Parking:
        """Return what is parked; where it has to be loaded, what is discarded after it.

        Who discards says so before closing a hole: where no hole is seen, its discards are.
        """
        if self._parking is None:
            self._remembered.clear()  # who closed a hole has written rows of its key before
            loaded = await self._loaded_parking(claim)
            self._discards = await all_discards(self._progress, claim.model.read_model)
            self._parking = loaded
        return self._parking

    async def _loaded_parking(self, claim: Claim) -> Parking:
        parking = Parking(
            self._projection.name,
            self._clock,
            documents=self._documents,
            letters_max=self._letters_max,
        )
        for at in claim.fences:
            async for hole in holes_of(self._progress, claim.model, at):
                parking.know(hole)
        return parking

    def _documents(self, record: Record) -> tuple[str, ...] | None:
        """Return the ids of what the event may change; None where it cannot be read."""
        try:
            refs = refs_of(self._projection, NO_DISCARDS.read([record]))
        except PoisonousEventError:
            return None
        return tuple(sorted({ref.id for ref in refs}))

    async def idle(self) -> None:
        if self._handled and self._clock.monotonic() - self._looked_s > _LOOK_INTERVAL_S:
            await self._target.look(self._handled)
            self._looked_s = self._clock.monotonic()

    async def halted(self, reason: str) -> None:
        with suppress(UnknownReadModelError):  # the version was dropped, and nobody misses it
            await self._progress.set_state(self._target.model, ReadModelState.HALTED, reason)

    def is_built(self) -> None:
        """Take the version for one in use from now on."""
        self._running = ReadModelState.RUNNING

    def _update(
        self,
        claim: Claim,
        positions: Mapping[TopicPartition, int],
        *,
        events_applied: int = 0,
        parked: Sequence[DeadLetter] = (),
    ) -> ProgressUpdate:
        return ProgressUpdate(
            claim=claim,
            positions=positions,
            moves_from={at: self._handled[at] for at in positions if at in self._handled},
            timelines=self._timelines.of(positions),
            events_applied=events_applied,
            parked=tuple(parked),
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


def _changed(recalled: Mapping[Ref, Row], stored: Mapping[Ref, Row]) -> list[Ref]:
    """Return the rows that somebody else has written since they were remembered."""
    return [
        ref
        for ref, row in recalled.items()
        if ref in stored and stored[ref].revision != row.revision
    ]
