"""Dead letters by hand: what is parked, and replaying it once its cause was mended.

    read the hole ─► fold its letters in their order, page by page ─► seen by readers ─► close it
        ▲                                                                                  │
        └───────────────────── something was parked behind it meanwhile ◄──────────────────┘

Nobody else writes a parked key: its projector goes on parking until the hole is closed, and the
store closes only a hole that is as it was read. A replay that dies, or is done twice, folds events
that are applied already, and their versions make that harmless. The hole counts until all is seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from slackwater.errors import ConflictError, PoisonousEventError
from slackwater.events.cloudevents import from_headers
from slackwater.installation import Installation
from slackwater.parts.projector import target_of
from slackwater.read_models.dead_letters import DeadLetter, Hole
from slackwater.read_models.fold import fold, refs_of
from slackwater.read_models.progress import Claim, ModelVersion, ProgressUpdate, active_entry
from slackwater.read_models.projection import Projection, Rows
from slackwater.read_models.target import Target, load_rows

_PAGE = 500
_ROUNDS_MAX = 20


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Which holes are meant: of one read model, of one key, of one kind of error; None is any."""

    read_model: str | None = None
    key: str | None = None
    error: str | None = None

    def means(self, hole: Hole) -> bool:
        return self.key in (None, hole.key) and self.error in (None, hole.error)


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


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What came, or would come, of replaying a key.

    `events` counts those that were applied anew. With `closed` nothing of the key is parked any
    more; otherwise `reason` is what still stands in the way, or None if nothing does and nothing
    was done yet. Of a long queue only the first page is tried without being applied.
    """

    read_model: str
    version: int
    topic: str
    partition: int
    key: str
    events: int
    closed: bool
    reason: str | None


async def parked(installation: Installation, chosen: Chosen) -> AsyncIterator[Parked]:
    """Yield the chosen keys of the versions that readers use."""
    async for model, hole in _holes(installation, chosen):
        yield Parked(
            **_place(model, hole),
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
    async for model, hole in _holes(installation, chosen):
        for letter in await progress.letters(model, hole, after=after, limit=limit):
            yield letter


async def replay(
    installation: Installation, chosen: Chosen, *, apply: bool
) -> AsyncIterator[Replayed]:
    """Replay the chosen keys, or without `apply` only see what would come of it."""
    async for model, hole in _holes(installation, chosen):
        target = target_of(installation, model)
        one = _Replay(installation, target, hole)
        try:
            yield await (one.applied() if apply else one.tried())
        finally:
            await target.abandon()


class _Replay:
    """Of one key."""

    def __init__(self, installation: Installation, target: Target, hole: Hole) -> None:
        self._projection = installation.manifest.projection(target.model.read_model)
        self._progress = installation.documents.progress
        self._target = target
        self._hole = hole
        self._place = _place(target.model, hole)
        self._events = 0

    async def tried(self) -> Replayed:
        """Fold the first page, and write nothing."""
        model = self._target.model
        page = await self._progress.letters(model, self._hole, limit=_PAGE)
        try:
            _, self._events = await _folded(self._projection, self._target, page)
        except PoisonousEventError as error:
            return self._said(str(error))
        return self._said(None)

    async def applied(self) -> Replayed:
        """Fold all, and close the hole; again if something was parked behind it meanwhile."""
        hole: Hole | None = self._hole
        for _ in range(_ROUNDS_MAX):
            if hole is None:
                return self._said(None, closed=True)
            try:
                await self._apply(hole)
            except PoisonousEventError as error:
                return self._said(str(error))
            if await self._progress.close_hole(self._target.model, hole):
                return self._said(None, closed=True)
            hole = await self._found_again(hole)
        return self._said("its events come faster than they are replayed; do it again")

    async def _apply(self, hole: Hole) -> None:
        after = -1
        while page := await self._progress.letters(
            self._target.model, hole, after=after, limit=_PAGE
        ):
            await self._apply_page(page)
            after = page[-1].record.offset
        await self._target.settled()

    async def _apply_page(self, page: Sequence[DeadLetter]) -> None:
        """Fold a page; again where an event of another topic has changed the same row meanwhile."""
        claim = Claim(model=self._target.model, fences={}, positions={})
        for left in reversed(range(_ROUNDS_MAX)):
            rows, applied = await _folded(self._projection, self._target, page)
            update = ProgressUpdate(claim=claim, positions={}, events_applied=applied)
            try:
                await self._target.commit(rows.writes(), update)
            except ConflictError:
                if not left:
                    raise
                continue
            self._events += applied
            return

    async def _found_again(self, hole: Hole) -> Hole | None:
        holes = await self._progress.holes(self._target.model, [hole.at])
        return next((one for one in holes if one.key == hole.key), None)

    def _said(self, reason: str | None, *, closed: bool = False) -> Replayed:
        return Replayed(**self._place, events=self._events, closed=closed, reason=reason)


async def _folded(
    projection: Projection, target: Target, page: Sequence[DeadLetter]
) -> tuple[Rows, int]:
    records = [letter.record for letter in page]
    events = [from_headers(record.topic, record.headers, record.value) for record in records]
    rows = await load_rows(target, refs_of(projection, events))
    return rows, fold(projection, rows, events)


async def _holes(
    installation: Installation, chosen: Chosen
) -> AsyncIterator[tuple[ModelVersion, Hole]]:
    progress = installation.documents.progress
    entries = await progress.load()
    names = (
        [chosen.read_model] if chosen.read_model else sorted({e.model.read_model for e in entries})
    )
    for name in names:
        installation.manifest.projection(name)  # refuses a name that is none
        active = active_entry(entries, name)
        if active is None or not active.holes:
            continue
        for at in sorted({hole.at for hole in active.holes}):
            for hole in await progress.holes(active.model, [at]):
                if chosen.means(hole):
                    yield active.model, hole


def _place(model: ModelVersion, hole: Hole) -> dict[str, Any]:
    assert hole.key is not None
    return {
        "read_model": model.read_model,
        "version": model.version,
        "topic": hole.at.topic,
        "partition": hole.at.partition,
        "key": hole.key,
    }
