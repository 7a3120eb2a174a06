"""Replaying what is parked once its cause was mended, and discarding what can never be applied.

    read the hole ─► fold its letters in their order, page by page ─► seen by readers ─► close it
        ▲               │ cannot be applied: it stays parked, or is discarded                │
        └───────────────┴──── something was parked behind it meanwhile ◄─────────────────────┘

Nobody else writes a parked key: its projector goes on parking until the hole is closed, and the
store closes only a hole that is as it was read. A replay that dies, or is done twice, folds events
that are applied already, and their versions make that harmless. The hole counts until all is seen.
A discard is kept with the rows that it lets go on, before the hole is closed: whoever sees the hole
closed knows what was left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy

import msgspec
from msgspec.structs import replace

from slackwater.errors import ConflictError, PoisonousEventError
from slackwater.installation import Installation
from slackwater.parts.dead_letters import Chosen, chosen_holes, place_of
from slackwater.parts.projector import target_of
from slackwater.read_models.dead_letters import DeadLetter, Hole
from slackwater.read_models.discards import NO_DISCARDS, Discard, Discards, Treatment
from slackwater.read_models.documents import Row, RowWrite
from slackwater.read_models.fold import MissingVersionError, fold, refs_of
from slackwater.read_models.paging import all_discards
from slackwater.read_models.progress import Claim, ProgressUpdate
from slackwater.read_models.projection import Projection, Ref
from slackwater.read_models.target import Target, load_rows

_PAGE = 500
_ROUNDS_MAX = 20
_TOLD_MAX = 100

Report = Callable[[int, int], None]
"""Is told how many letters of how many of a key are done."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Who decided that events that cannot be applied shall be left out, why, and of which.

    With an `offset` only that event is meant, with an `error` only those that fail with that kind.
    """

    by: str
    why: str
    offset: int | None = None
    error: str | None = None

    def means(self, letter: DeadLetter, error: PoisonousEventError) -> bool:
        is_it = self.offset in (None, letter.record.offset)
        return is_it and self.error in (None, type(error).__name__)


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What came, or would come, of replaying a key.

    `events` counts those that were applied anew, `discarded` those that were left out, of which
    `discards` names the first hundred. With `closed` nothing of the key is parked any more;
    otherwise `reason` is what still stands in the way, or None if nothing does and nothing was done
    yet. Of a long queue only the first page is tried without being applied.
    """

    read_model: str
    version: int
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
    report: Report = lambda _done, _total: None,
) -> AsyncIterator[Replayed]:
    """Replay the chosen keys, or without `apply` only see what would come of it.

    What still cannot be applied stays parked, with all behind it; with a decision it is discarded.
    """
    async for model, hole in chosen_holes(installation, chosen):
        target = target_of(installation, model)
        one = _Replay(installation, target if apply else _Rehearsal(target), hole, decision)
        await one.begin()
        try:
            yield await (one.applied(report) if apply else one.tried())
        finally:
            await target.abandon()


class _Replay:
    """Of one key."""

    def __init__(
        self,
        installation: Installation,
        target: Target,
        hole: Hole,
        decision: Decision | None,
    ) -> None:
        self._projection = installation.manifest.projection(target.model.read_model)
        self._progress = installation.documents.progress
        self._clock = installation.clock
        self._target = target
        self._hole = hole
        self._decision = decision
        self._known = Discards()
        self._events = 0
        self._discarded: dict[int, Discard] = {}

    async def begin(self) -> None:
        """Take into account what was discarded before."""
        self._known = await all_discards(self._progress, self._target.model.read_model)

    async def tried(self) -> Replayed:
        """Apply the first page."""
        page = await self._progress.letters(self._target.model, self._hole, limit=_PAGE)
        try:
            await self._apply_page(_by_version(page))
        except PoisonousEventError as error:
            return self._said(str(error))
        return self._said(None)

    async def applied(self, report: Report) -> Replayed:
        """Apply all, and close the hole; again if something was parked behind it meanwhile."""
        hole: Hole | None = self._hole
        for _ in range(_ROUNDS_MAX):
            if hole is None:
                return self._said(None, closed=True)
            try:
                await self._apply(hole, report)
            except PoisonousEventError as error:
                return self._said(str(error))
            if await self._progress.close_hole(self._target.model, hole):
                return self._said(None, closed=True)
            assert hole.key is not None
            hole = await self._progress.hole(self._target.model, hole.at, hole.key)
        return self._said("its events come faster than they are replayed; do it again")

    async def _apply(self, hole: Hole, report: Report) -> None:
        after, done = -1, 0
        while page := await self._progress.letters(
            self._target.model, hole, after=after, limit=_PAGE
        ):
            await self._apply_page(_by_version(page))
            after, done = page[-1].record.offset, done + len(page)
            report(done, hole.letters)
        await self._target.settled()

    async def _apply_page(self, page: Sequence[DeadLetter]) -> None:
        """Apply letters in their order; where one cannot be, each half by itself."""
        try:
            await self._apply_together(page)
        except PoisonousEventError as error:
            if len(page) == 1:
                await self._discard(page[0], error)
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
        for left in reversed(range(_ROUNDS_MAX)):
            rows = await load_rows(self._target, refs_of(self._projection, events))
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

    async def _discard(self, letter: DeadLetter, error: PoisonousEventError) -> None:
        """Leave out as little as can be: a gap before the event, or else the event itself.

        Raises:
            PoisonousEventError: it is not meant, or cannot even be left out.
        """
        if self._decision is None or not self._decision.means(letter, error):
            raise error
        discard = Discard(
            record=letter.record,
            treatment=await self._treatment(letter, error),
            error=type(error).__name__,
            reason=str(error),
            by=self._decision.by,
            why=self._decision.why,
            discarded_at=self._clock.now(),
        )
        before = self._discarded.get(letter.record.offset)
        if before is not None and before.treatment is discard.treatment:
            raise error
        self._known.add(discard)
        self._discarded[letter.record.offset] = discard
        try:
            await self._apply_together([letter], (discard,))
        except PoisonousEventError as another:
            await self._discard(letter, another)

    async def _treatment(self, letter: DeadLetter, error: PoisonousEventError) -> Treatment:
        try:
            row = _guarded_row(self._projection, letter)
        except PoisonousEventError:
            return Treatment.UNREADABLE
        if row is None:
            return Treatment.UNREADABLE
        rows = await load_rows(self._target, [row])
        if rows.version(row) == 0:
            return Treatment.AGGREGATE_LEFT_OUT
        if isinstance(error, MissingVersionError):
            return Treatment.GAP_ACCEPTED
        return Treatment.LEFT_OUT

    def _said(self, reason: str | None, *, closed: bool = False) -> Replayed:
        discards = [*self._discarded.values()]
        return Replayed(
            **place_of(self._target.model, self._hole),
            events=self._events,
            discarded=len(discards),
            closed=closed,
            reason=reason,
            discards=tuple(discards[:_TOLD_MAX]),
        )


class _Rehearsal:
    """Applies nothing, and shows to whoever goes on with it what would be there."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._written: dict[Ref, Row] = {}
        self.model = target.model

    async def prepare(self) -> None:
        """Nothing is written, so nothing is needed."""

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


def _by_version(page: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Return letters in their order, but those of each aggregate by version, in its own places.

    So a gap is closed by a predecessor that came late.
    """
    places: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    versions: dict[int, int] = {}
    for at, letter in enumerate(page):
        with suppress(PoisonousEventError):
            [event] = NO_DISCARDS.read([letter.record])
            places[event.aggregate_type, event.aggregate_id].append(at)
            versions[at] = event.version
    ordered = list(page)
    for taken in places.values():
        for at, letter_at in zip(taken, sorted(taken, key=versions.__getitem__), strict=True):
            ordered[at] = page[letter_at]
    return ordered


def _guarded_row(projection: Projection, letter: DeadLetter) -> Ref | None:
    """Return the row that keeps the version of a letter's aggregate.

    Raises:
        PoisonousEventError: the letter does not say which.
    """
    [event] = NO_DISCARDS.read([letter.record])
    refs_of(projection, [event])
    guard = projection.guard_of(event)
    return guard.row(event) if guard is not None else None
