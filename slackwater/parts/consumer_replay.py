"""Replaying what consumers have parked, and discarding what they can never handle.

    hold the hole ─► run the steps for its first letters ─► remove them ─► commit ─► the next page
                        │ one cannot be handled: fewer letters, down to that one: it stays,
                        └──────────────────────────────── or is discarded, and the rest goes on

Inbox, effects and the removal of the letters are one transaction, which holds the hole's row and is
as short as a consumer's, so that it wins against commands. A replay that dies or is done twice does
nothing twice, and whatever its consumer parks meanwhile is either in the hole, and replayed, or
finds it closed, and is handled. So the events of a key are handled in the order of the log.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import NoReturn

from msgspec.structs import replace
from sqlalchemy import Connection

from slackwater.consumer.batch_size import BatchSize
from slackwater.database.port import ContendedError, UnstorableTextError
from slackwater.errors import PoisonousEventError, SlackwaterError
from slackwater.installation import Installation
from slackwater.outbox.relay import outbox_bell
from slackwater.parts.consumer_dead_letters import Named, chosen_consumer_holes
from slackwater.parts.dead_letters import Chosen
from slackwater.parts.replay import TOLD_MAX, Decision, Replayed, Report, meant_holes, nobody
from slackwater.read_models.dead_letters import DeadLetter, Hole
from slackwater.read_models.discards import Discard
from slackwater.service.steps import Steps

_PAGE = 500


async def replay_consumers(
    installation: Installation,
    chosen: Chosen,
    *,
    apply: bool,
    decision: Decision | None = None,
    report: Report = nobody,
) -> AsyncIterator[Replayed]:
    """Replay the chosen keys, or without `apply` only see what would come of it.

    What still cannot be handled stays parked, with all behind it; with a decision it is discarded,
    if its consumer can do without it.

    Raises:
        StructuralError: several keys have parked something at the offset that is meant.
    """
    found = partial(chosen_consumer_holes, installation, chosen)
    async for named, hole in meant_holes(found, decision):
        one = _Replay(installation, named, hole, decision)
        yield await (one.applied(report) if apply else one.tried())


class _TriedError(Exception):
    """Takes back what was only tried."""


class _Replay:
    """Of one key."""

    def __init__(
        self, installation: Installation, named: Named, hole: Hole, decision: Decision | None
    ) -> None:
        self._installation = installation
        self._named = named
        self._database = named.database
        self._dead_letters = named.dead_letters
        self._steps = Steps(named.service, named.consumer, installation.clock)
        self._hole = hole
        self._decision = decision
        self._events = 0
        self._failing: DeadLetter | None = None
        self._discards: dict[int, Discard] = {}

    async def applied(self, report: Report) -> Replayed:
        """Handle page after page until nothing of the key is parked any more."""
        size, done = BatchSize(_PAGE), 0
        while True:
            began_s = time.monotonic()
            try:
                page, left = await self._handle(int(size))
            except (PoisonousEventError, UnstorableTextError) as error:
                if int(size) == 1 and (why := await self._discard_first(error)) is not None:
                    return self._said(why)
                size.lost(int(size))
                continue
            except ContendedError:
                if int(size) == 1:
                    raise
                size.lost(int(size))
                continue
            size.took(page, time.monotonic() - began_s)
            if left is None:
                return self._said(None, closed=True)
            done += page
            report(done, done + left.letters)

    async def tried(self) -> Replayed:
        """Handle the first page, and take it back."""
        while True:
            try:
                await self._database.transact(self._try)
            except _TriedError:
                return self._said(None)
            except (PoisonousEventError, UnstorableTextError) as error:
                assert self._failing is not None
                why = self._why_not(self._failing, error)
                if why is not None:
                    return self._said(why)
                self._discarded(self._failing, error)

    async def _handle(self, size: int) -> tuple[int, Hole | None]:
        """Handle so many letters; return how many there were, and what is left of the hole."""

        def work(connection: Connection) -> tuple[int, int, Hole | None]:
            hole = self._current(connection, for_change=True)
            if hole is None:
                return 0, 0, None
            page = self._dead_letters.letters(connection, hole, limit=size)
            self._failing = page[0]  # it is, if it fails alone
            events = self._take(connection, page)
            return events, len(page), self._dead_letters.remove(connection, hole, page)

        events, page, left = await self._database.transact(work)
        self._events += events
        self._installation.doorbell.ring(outbox_bell(self._named.service.name))
        return page, left

    def _try(self, connection: Connection) -> NoReturn:
        self._events = 0
        hole = self._current(connection)
        page = [] if hole is None else self._dead_letters.letters(connection, hole, limit=_PAGE)
        for self._failing in page:
            if self._failing.record.offset not in self._discards:
                self._events += self._take(connection, [self._failing])
        raise _TriedError

    def _take(self, connection: Connection, page: Sequence[DeadLetter]) -> int:
        read = (self._steps.decoded(letter.record) for letter in page)
        return self._steps.take(connection, [each for each in read if each is not None])

    async def _discard_first(self, error: SlackwaterError) -> str | None:
        """Leave out the first letter, which has failed alone; return what keeps it from that."""

        def work(connection: Connection) -> str | None:
            hole = self._current(connection, for_change=True)
            if hole is None or self._failing is None or hole.offset != self._failing.record.offset:
                return None  # somebody else is replaying it, too
            why = self._why_not(self._failing, error)
            if why is not None:
                told = replace(hole, error=type(error).__name__, reason=str(error))
                self._dead_letters.say_why(connection, told)
                return why
            self._steps.leave_out(connection, self._failing.record)
            discard = self._discarded(self._failing, error)
            self._dead_letters.discard(connection, hole, discard)
            return None

        return await self._database.transact(work)

    def _why_not(self, letter: DeadLetter, error: SlackwaterError) -> str | None:
        """Return why a letter that cannot be handled stays; None if it is to be discarded."""
        if self._decision is None or not self._decision.means(letter, error):
            return str(error)
        without_it = self._steps.why_not_discarded(letter.record)
        if without_it is None:
            return None
        return (
            f"it cannot be discarded: {without_it}; mend the cause and run `slackwater dead-letter "
            f"replay {self._named.name} --key {letter.record.key} --yes` ({error})"
        )

    def _discarded(self, letter: DeadLetter, error: SlackwaterError) -> Discard:
        assert self._decision is not None
        discard = self._decision.discard(letter, error, now=self._installation.clock.now())
        self._discards[letter.record.offset] = discard
        return discard

    def _current(self, connection: Connection, *, for_change: bool = False) -> Hole | None:
        at, key = self._hole.at, self._hole.key
        assert key is not None
        return self._dead_letters.hole(connection, at, key, for_change=for_change)

    def _said(self, reason: str | None, *, closed: bool = False) -> Replayed:
        discards = [*self._discards.values()]
        return Replayed(
            **self._named.place_of(self._hole),
            events=self._events,
            discarded=len(discards),
            closed=closed,
            reason=reason,
            discards=tuple(discards[:TOLD_MAX]),
        )
