"""Replaying what is parked once its cause was mended, and discarding what can never be applied.

    read the hole ─► fold its letters in their order, page by page ─► seen by readers ─► close it
        ▲               │ cannot be applied: it stays parked, or is discarded                │
        └───────────────┴──── something was parked behind it meanwhile ◄─────────────────────┘

Nobody else writes a parked key: its projector goes on parking until the hole is closed, and the
store closes only a hole that is as it was read. A replay that dies, or is done twice, folds events
that are applied already, and their versions make that harmless. The hole counts until all is seen.
A letter whose predecessor was parked behind it is applied behind that one. A discard is kept with
the rows that it lets go on, before the hole is closed: whoever sees the hole closed knows what was
left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from slackwater.errors import (
    ConflictError,
    PoisonousEventError,
    SlackwaterError,
    StructuralError,
)
from slackwater.event_log.port import TopicPartition
from slackwater.events.event import Event
from slackwater.installation import Installation
from slackwater.parts.dead_letters import Chosen, chosen_holes, place_of
from slackwater.parts.projector import target_of
from slackwater.read_models.dead_letters import DeadLetter, Hole
from slackwater.read_models.discards import NO_DISCARDS, Discard, Discards, Treatment
from slackwater.read_models.documents import Row, RowWrite
from slackwater.read_models.fold import MissingVersionError, fold, refs_of
from slackwater.read_models.paging import all_discards
from slackwater.read_models.progress import Claim, ModelVersion, ProgressUpdate, active_entry
from slackwater.read_models.projection import Projection, Ref, Rows
from slackwater.read_models.target import Target, load_rows

_PAGE = 500
_ROUNDS_MAX = 20
_CONFLICTS_MAX = 20
TOLD_MAX = 100

OwnerT = TypeVar("OwnerT")

Report = Callable[[int, int], None]
"""Is told how many letters of how many of a key are done."""


def nobody(_done: int, _total: int) -> None:
    """Nobody wants to know."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Who decided that events that cannot be applied shall be left out, why, and of which.

    With an `offset` only that event is meant, with an `error` only those that fail with that kind.
    An event of which predecessors are missing is applied without them if `accept_gap` says so, and
    is left out only where it is meant by its offset: behind it nothing else could be applied.
    """

    by: str
    why: str
    offset: int | None = None
    error: str | None = None
    accept_gap: bool = False

    def means(self, letter: DeadLetter, error: SlackwaterError) -> bool:
        if self.error not in (None, type(error).__name__):
            return False
        if self.offset is not None:
            return self.offset == letter.record.offset
        return self.accept_gap or not isinstance(error, MissingVersionError)

    def discard(
        self,
        letter: DeadLetter,
        error: SlackwaterError,
        *,
        now: datetime,
        treatment: Treatment = Treatment.LEFT_OUT,
        version_before: int = 0,
    ) -> Discard:
        """Return what is kept of leaving out a letter that fails with an error."""
        return Discard(
            record=letter.record,
            treatment=treatment,
            version_before=version_before,
            error=type(error).__name__,
            reason=str(error),
            by=self.by,
            why=self.why,
            discarded_at=now,
        )


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What came, or would come, of replaying a key of a read model or of a consumer.

    `events` counts those that were applied anew, `discarded` those that were left out, of which
    `discards` names the first hundred. With `closed` nothing of the key is parked any more;
    otherwise `reason` is what still stands in the way, or None if nothing does and nothing was done
    yet. What the store itself refuses is seen only when it is done.
    """

    read_model: str | None = None
    version: int | None = None
    consumer: str | None = None
    topic: str
    partition: int
    key: str
    events: int
    discarded: int
    closed: bool
    reason: str | None
    discards: tuple[Discard, ...] = ()


async def replay(
    installation: Installation,
    chosen: Chosen,
    *,
    apply: bool,
    decision: Decision | None = None,
    report: Report = nobody,
) -> AsyncIterator[Replayed]:
    """Replay the chosen keys, or without `apply` only see what would come of it.

    What still cannot be applied stays parked, with all behind it; with a decision it is discarded.

    Raises:
        StructuralError: several keys have parked something at the offset that is meant.
    """
    known: dict[str, Discards] = {}
    async for model, hole in meant_holes(lambda: chosen_holes(installation, chosen), decision):
        name = model.read_model
        if name not in known:
            known[name] = await all_discards(installation.documents.progress, name)
        target = target_of(installation, model)
        seen = target if apply else _Rehearsal(target)
        one = _Replay(installation, seen, hole, decision, known[name])
        try:
            yield await (one.applied(report) if apply else one.tried(report))
        finally:
            await target.abandon()


async def replay_hole(installation: Installation, model: ModelVersion, hole: Hole) -> Replayed:
    """Replay one key of any version."""
    known = await all_discards(installation.documents.progress, model.read_model)
    target = target_of(installation, model)
    try:
        return await _Replay(installation, target, hole, None, known).applied(nobody)
    finally:
        await target.abandon()


class _Replay:
    """Of one key; `known` is what was discarded of its read model before."""

    def __init__(
        self,
        installation: Installation,
        target: Target,
        hole: Hole,
        decision: Decision | None,
        known: Discards,
    ) -> None:
        self._projection = installation.manifest.projection(target.model.read_model)
        self._progress = installation.documents.progress
        self._clock = installation.clock
        self._target = target
        self._hole = hole
        self._decision = decision
        self._known = known
        self._after = -1
        self._done = 0
        self._events = 0
        self._discarded = 0
        self._told: list[Discard] = []

    async def tried(self, report: Report) -> Replayed:
        """Apply all letters, and close nothing."""
        try:
            await self._apply(report)
        except PoisonousEventError as error:
            return self._said(str(error))
        return self._said(None)

    async def applied(self, report: Report) -> Replayed:
        """Apply all, and close the hole; go on if something was parked behind it meanwhile."""
        await self._target.go_on()
        model, was_in_use = self._target.model, await self._is_in_use()
        for _ in range(_ROUNDS_MAX):
            try:
                await self._apply(report)
            except PoisonousEventError as error:
                return self._said(str(error))
            is_closed = await self._progress.close_hole(model, self._hole)
            assert self._hole.key is not None
            found = await self._progress.hole(model, self._hole.at, self._hole.key)
            if is_closed or found is None:
                if was_in_use and not await self._is_in_use():
                    return self._said("readers use another version by now; do it again")
                return self._said(None, closed=True)
            self._hole = found
        return self._said("its events come faster than they are replayed; do it again")

    async def _is_in_use(self) -> bool:
        model = self._target.model
        active = active_entry(await self._progress.load(), model.read_model)
        return active is not None and active.model == model

    async def _apply(self, report: Report) -> None:
        """Apply what was not applied yet of the hole, and return once readers see it."""
        async for page in self._pages(self._after):
            await self._apply_page(page)
            self._after, self._done = page[-1].record.offset, self._done + len(page)
            report(self._done, max(self._done, self._hole.letters))
        await self._target.settled()

    async def _pages(self, after: int) -> AsyncIterator[list[DeadLetter]]:
        while page := await self._progress.letters(
            self._target.model, self._hole, after=after, limit=_PAGE
        ):
            yield page
            after = page[-1].record.offset

    async def _apply_page(self, page: Sequence[DeadLetter]) -> None:
        """Apply letters in their order; where one cannot be, each half by itself."""
        try:
            await self._apply_together(page)
        except PoisonousEventError as error:
            if len(page) == 1:
                await self._make_good(page[0], error)
                return
            half = len(page) // 2
            await self._apply_page(page[:half])
            await self._apply_page(page[half:])

    async def _apply_together(
        self, page: Sequence[DeadLetter], discarded: tuple[Discard, ...] = ()
    ) -> None:
        """Fold a page; again where an event of another topic has changed the same row meanwhile."""
        claim = Claim(model=self._target.model, fences={}, positions={})
        events = self._known.read([letter.record for letter in page])
        for left in reversed(range(_CONFLICTS_MAX)):
            rows = Rows(await load_rows(self._target, refs_of(self._projection, events)))
            applied = fold(self._projection, rows, events, self._known)
            update = ProgressUpdate(
                claim=claim, positions={}, events_applied=applied, discarded=discarded
            )
            try:
                await self._target.commit(rows.writes(), update)
            except ConflictError:
                if not left:
                    raise
                continue
            self._events += applied
            return

    async def _make_good(self, letter: DeadLetter, error: PoisonousEventError) -> None:
        """Apply a letter behind its predecessors, if these were parked after it; or discard it.

        Raises:
            PoisonousEventError: neither can be done.
        """
        while isinstance(error, MissingVersionError) and await self._has_applied_next(letter):
            try:
                await self._apply_together([letter])
            except PoisonousEventError as another:
                error = another
            else:
                return
        await self._discard(letter, error)

    async def _has_applied_next(self, letter: DeadLetter) -> bool:
        """Apply the next event of a letter's aggregate, if it is parked behind the letter."""
        event = _event(letter)
        version = await self._version(letter)
        async for page in self._pages(letter.record.offset):
            for later in page:
                if _is_next(later, event, version):
                    try:
                        await self._apply_together([later])
                    except PoisonousEventError:
                        return False
                    return True
        return False

    async def _discard(
        self, letter: DeadLetter, error: PoisonousEventError, tried: Treatment | None = None
    ) -> None:
        """Leave out as little as was decided: a gap before the event, or else the event itself.

        Raises:
            PoisonousEventError: it is not meant, or cannot even be left out.
        """
        if tried not in (None, Treatment.GAP_ACCEPTED):
            raise error
        if self._decision is None or not self._decision.means(letter, error):
            raise self._with_remedy(letter, error)
        version = await self._version(letter)
        discard = self._decision.discard(
            letter,
            error,
            now=self._clock.now(),
            treatment=_treatment(self._decision, error, version),
            version_before=version or 0,
        )
        self._known.add(discard)
        try:
            await self._apply_together([letter], (discard,))
        except PoisonousEventError as another:
            await self._discard(letter, another, discard.treatment)
            return
        self._discarded += 1
        if len(self._told) < TOLD_MAX:
            self._told.append(discard)

    def _with_remedy(self, letter: DeadLetter, error: PoisonousEventError) -> PoisonousEventError:
        """Say what a discard can do about a gap, where one was wanted and not told what."""
        decision = self._decision
        is_open = decision is not None and decision.offset is None and not decision.accept_gap
        if not (is_open and isinstance(error, MissingVersionError)):
            return error
        return PoisonousEventError(
            f"{error}; --accept-gap applies it without those that are missing, "
            f"--offset {letter.record.offset} leaves out just this event"
        )

    async def _version(self, letter: DeadLetter) -> int | None:
        """Return the version of a letter's aggregate; None if it does not say whose it is."""
        try:
            row = _guarded_row(self._projection, letter)
        except PoisonousEventError:
            return None
        return Rows(await load_rows(self._target, [row])).version(row) if row is not None else None

    def _said(self, reason: str | None, *, closed: bool = False) -> Replayed:
        return Replayed(
            **place_of(self._target.model, self._hole),
            events=self._events,
            discarded=self._discarded,
            closed=closed,
            reason=reason,
            discards=tuple(self._told),
        )


class _Rehearsal:
    """Applies nothing, and shows to whoever goes on with it what would be there."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._written: dict[Ref, Row] = {}
        self.model = target.model

    async def prepare(self) -> None:
        """Nothing is written, so nothing is needed."""

    async def exists(self) -> bool:
        return await self._target.exists()

    async def go_on(self) -> None:
        """Nothing is written behind anything."""

    async def look(self, handled: Mapping[TopicPartition, int]) -> None:
        """Nothing was committed."""

    async def load(self, collection: str, ids: Sequence[str]) -> Mapping[str, Row]:
        stored = await self._target.load(collection, ids)
        written = {
            row_id: replace(row, document=deepcopy(row.document))
            for row_id in ids
            if (row := self._written.get(Ref(collection, row_id))) is not None
        }
        return {**stored, **written}

    async def commit(self, rows: Sequence[RowWrite], progress: ProgressUpdate) -> None:
        for row in rows:
            self._written[Ref(row.collection, row.id)] = Row(
                id=row.id,
                version=row.version,
                revision=row.expected_revision + 1,
                document=row.document,
            )

    async def settled(self) -> None:
        """Nobody else sees anything."""

    async def abandon(self) -> None:
        """Nothing is kept."""

    async def drop(self) -> None:
        """Nothing is kept."""


def _treatment(decision: Decision, error: PoisonousEventError, version: int | None) -> Treatment:
    if version is None:
        return Treatment.UNREADABLE
    if version == 0:
        return Treatment.AGGREGATE_LEFT_OUT
    if decision.accept_gap and isinstance(error, MissingVersionError):
        return Treatment.GAP_ACCEPTED
    return Treatment.LEFT_OUT


def _is_next(letter: DeadLetter, event: Event, version: int | None) -> bool:
    """Tell whether a letter holds the event of the same aggregate that comes next."""
    try:
        found = _event(letter)
    except PoisonousEventError:
        return False
    same = (found.aggregate_type, found.aggregate_id) == (event.aggregate_type, event.aggregate_id)
    return same and version is not None and found.version == version + 1


def _event(letter: DeadLetter) -> Event:
    [event] = NO_DISCARDS.read([letter.record])
    return event


def _guarded_row(projection: Projection, letter: DeadLetter) -> Ref | None:
    """Return the row that keeps the version of a letter's aggregate.

    Raises:
        PoisonousEventError: the letter does not say which.
    """
    event = _event(letter)
    refs_of(projection, [event])
    guard = projection.guard_of(event)
    return guard.row(event) if guard is not None else None


async def meant_holes(
    found: Callable[[], AsyncIterator[tuple[OwnerT, Hole]]], decision: Decision | None
) -> AsyncIterator[tuple[OwnerT, Hole]]:
    """Yield the holes that are found, or the one alone that holds the offset of a decision.

    Raises:
        StructuralError: several hold it; the message says how to name one.
    """
    offset = decision.offset if decision is not None else None
    if offset is not None:
        holding = [hole async for _, hole in found() if _holds(hole, offset)]
        if len(holding) > 1:
            places = [f"{hole.at.topic}[{hole.at.partition}] {hole.key}" for hole in holding[:3]]
            raise StructuralError(
                f"offset {offset} may be meant of {', '.join(places)}; name one with --key and "
                "--topic"
            )
    async for owner, hole in found():
        if offset is None or _holds(hole, offset):
            yield owner, hole


def _holds(hole: Hole, offset: int) -> bool:
    return hole.offset <= offset <= hole.last_offset
