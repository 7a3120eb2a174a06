"""Requirements: what one operation requires of what it reads, by demands and by tokens.

A field that goes to its source requires nothing of a read model: neither is waited for, nor judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import msgspec
from graphql.pyutils import Path

from gateway.freshness.demands import TIMEOUT_MS, Demand
from gateway.freshness.directives import FRESHNESS, OnStale, directive_on
from gateway.freshness.judgement import (
    Judgement,
    ReadingOf,
    Wanted,
    are_met,
    judged,
    must_ask_source,
    prefers_source,
    reading_now,
    sent_to_source,
    stale_as_served,
    wait_until_met,
)
from gateway.freshness.outcome import Outcome, count
from gateway.freshness.paths import Keys, keys_of
from gateway.freshness.place import Place
from gateway.freshness.plan import Plan, pairs_of
from gateway.freshness.read_after import ReadAfter
from gateway.freshness.serving import Serving
from gateway.freshness.stale import Stale
from slackwater import metrics
from slackwater.clock import Clock
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import Reading
from slackwater.freshness.token import ConsistencyToken

_NOTHING_STALE = Judgement()
_STRICT = (OnStale.WAIT, OnStale.FAIL)


class Requirements:
    """The demands and the token of one operation, and how they have been judged."""

    def __init__(
        self,
        plan: Plan | None,
        demands: Sequence[Demand],
        token: ConsistencyToken,
        keys: Sequence[str | None],
        board: FreshnessBoard,
        clock: Clock,
    ) -> None:
        self._plan = plan
        self._demands = demands
        self._keys = keys
        self._read_after = ReadAfter(token, board)
        self._board = board
        self._clock = clock
        self._demanding = plan.demanding if plan is not None else ()
        self._judgement = _NOTHING_STALE
        self._waited: set[Demand] = set()

    @property
    def requires_any(self) -> bool:
        """Whether there is a demand or a token at all."""
        return self._read_after.requires_any or bool(self._demanding)

    @property
    def withholds_any(self) -> bool:
        """Whether some field is too stale to be shown."""
        return bool(self._judgement.fields) or bool(self._judgement.values)

    @property
    def to_source(self) -> frozenset[Keys]:
        """The fields that the write services must answer."""
        return self._judgement.to_source

    async def wait(self) -> None:
        """Wait for the writes of the token and for demands with WAIT.

        Raises:
            InvalidConsistencyToken: the token names a tick that cannot be.
            StaleRead: the writes of the token are not reflected in time.
        """
        asked_s = self._clock.monotonic()
        self._choose_sources()
        with _timed("token", if_=self._read_after.demands(self.pairs())):
            await self._wait_for_writes(asked_s)
        await self._wait_for_demands(asked_s)

    async def wait_elsewhere(
        self, keys: Keys, read_model: str, sources: tuple[str, ...], key: str | None = None
    ) -> None:
        """Wait in the same way for a read model that answers a field in place of the declared one.

        With a key, for what it has of that.

        Raises:
            StaleRead: the writes of the token are not reflected in time.
        """
        places, asked_s = self._under(keys), self._clock.monotonic()
        if not any(prefers_source(place, self._demands) for place in places):
            pairs = [(read_model, source) for source in sources]
            of_key = {pair: {key} for pair in pairs} if key is not None else {}
            await self._read_after.wait(pairs, asked_s, timeout_ms=TIMEOUT_MS, keys=of_key)
        origin = read_model, sources
        wanted = [(self._demands[one.demand or 0], origin, key) for one in places]
        await wait_until_met(wanted, self._board, self._clock, asked_s)

    async def wait_for_event(self) -> None:
        """Wait in the same way before a subscription's event is read.

        What reflected the writes once need not for ever: its source may have been restored.

        Raises:
            InvalidConsistencyToken: the source has left the history of the token's write.
            StaleRead: the writes of the token are not reflected in time.
        """
        asked_s = self._clock.monotonic()
        self._choose_sources()
        await self._wait_for_writes(asked_s)
        await self._wait_for_demands(asked_s)

    def may_show_event(self) -> bool:
        """Tell whether the demands with WAIT or FAIL are met as the board stands now."""
        strict = [one for one in self._wanted() if one[0].on_stale in _STRICT]
        return not strict or are_met(strict, self._board, self._clock)

    def look_ups_now(self) -> Sequence[Reading]:
        """Return what the board says now of each document that is looked up by a key."""
        look_ups = self._plan.look_ups if self._plan is not None else ()
        return [
            reading_now(self._board, one.read_model, key)
            for one, key in zip(look_ups, self._keys, strict=False)
        ]

    def key_of(self, place: Place) -> str | None:
        """Return the key of the document that a place shows, if it was looked up by one."""
        return self._keys[place.look_up] if place.look_up is not None and self._keys else None

    def judge(self, reading_of: ReadingOf) -> None:
        """Judge the demands on pinned readings; what was sent to its source stays so."""
        if self._demanding:
            to_source = self.to_source | self._sent_to_source(reading_of)
            now_s = self._clock.monotonic()
            self._judgement = judged(self._demanding, self._demands, reading_of, now_s, to_source)
            self._count(reading_of, now_s)

    def judge_event(self, reading_of: ReadingOf) -> None:
        """Judge the demands for the next event of a subscription."""
        self._judgement = _NOTHING_STALE
        self.judge(reading_of)

    def judge_elsewhere(self, keys: Keys, reading: Reading) -> None:
        """Send a field to its source if the read model that would answer it must not."""
        if any(self._must_ask_source(place, reading) for place in self._under(keys)):
            to_source = self.to_source | {keys}
            self._judgement = msgspec.structs.replace(self._judgement, to_source=to_source)

    def check(self, keys: Keys, serving: Serving) -> None:
        """Make sure that what was read otherwise than declared is as required.

        Raises:
            StaleRead: it is not.
        """
        reading = serving.proof
        pairs = [(reading.read_model, source) for source in serving.sources]
        self._read_after.check(pairs, {reading.read_model: reading})
        for place in self._under(keys):
            stale = stale_as_served(place, self._demands, reading, self._clock.monotonic())
            if stale is not None:
                count([stale.outcome])
                raise stale.exception()

    def stale_field(self, path: Path, type_name: str) -> Stale | None:
        """Return why a field must not be resolved."""
        stale = self._judgement.fields
        return stale.get((keys_of(path), type_name)) if stale else None

    def stale_value(self, path: Path, type_name: str) -> Stale | None:
        """Return why a value of this type must not be shown."""
        stale = self._judgement.values
        return stale.get((keys_of(path), type_name)) if stale else None

    def withholds(self, path: Path | None, name: str) -> bool:
        """Tell whether a field of the object at a path is too stale to be shown."""
        fields = self._judgement.fields
        parent = keys_of(path) if fields else ()
        return any(
            keys[:-1] == parent and stale.name == name for (keys, _), stale in fields.items()
        )

    async def _wait_for_writes(self, asked_s: float) -> None:
        await self._read_after.wait(
            self.pairs(), asked_s, timeout_ms=self._timeout_ms(), keys=self._keys_of_pairs()
        )

    async def _wait_for_demands(self, asked_s: float) -> None:
        waiting = [one for one in self._wanted() if one[0].on_stale is OnStale.WAIT]
        self._waited = {one[0] for one in waiting if not are_met([one], self._board, self._clock)}
        with _timed("demand", if_=bool(waiting)):
            await wait_until_met(waiting, self._board, self._clock, asked_s)

    def _count(self, reading_of: ReadingOf, now_s: float) -> None:
        """Count what came of the demands that are not met, each outcome once."""
        found = {
            (place.demand or 0, outcome)
            for place in self._demanding
            if (outcome := self._outcome(place, reading_of(place), now_s)) is not None
        }
        count(outcome for _, outcome in found)

    def _outcome(self, place: Place, reading: Reading, now_s: float) -> Outcome | None:
        demand = self._demands[place.demand or 0]
        if place.answered_at in self.to_source:
            return Outcome.SOURCE if demand.on_stale is OnStale.SOURCE else None
        named = place.path, place.type_name
        stale = self._judgement.fields.get(named) or self._judgement.values.get(named)
        if stale is not None:
            return stale.outcome
        if demand in self._waited:
            return Outcome.WAITED
        if demand.on_stale is OnStale.SERVE and not demand.is_met(reading, place.sources, now_s):
            return Outcome.SERVED
        return None

    def _choose_sources(self) -> None:
        to_source = self._sent_to_source(
            lambda place: reading_now(self._board, place.read_model, self.key_of(place))
        )
        self._judgement = Judgement(to_source=to_source)

    def _sent_to_source(self, reading_of: ReadingOf) -> frozenset[Keys]:
        now_s = self._clock.monotonic()
        return sent_to_source(self._demanding, self._demands, reading_of, self._read_after, now_s)

    def _must_ask_source(self, place: Place, reading: Reading) -> bool:
        now_s = self._clock.monotonic()
        return prefers_source(place, self._demands) and must_ask_source(
            place, self._demands, reading, self._read_after, now_s
        )

    def pairs(self) -> frozenset[tuple[str, str]]:
        """Return the read models and sources that must reflect the token."""
        if self._plan is None or not self.to_source:
            return self._plan.reads if self._plan is not None else frozenset()
        return pairs_of(one for one in self._plan.places if one.answered_at not in self.to_source)

    def _keys_of_pairs(self) -> dict[tuple[str, str], set[str]]:
        """Return the keys of the read models and sources that are read by key alone."""
        if self._plan is None or not self._keys:
            return {}
        keys: dict[tuple[str, str], set[str | None]] = {}
        for place in self._plan.places:
            for pair in pairs_of([place]):
                keys.setdefault(pair, set()).add(self.key_of(place))
        return {
            pair: {key for key in found if key is not None}
            for pair, found in keys.items()
            if None not in found
        }

    def _wanted(self) -> list[Wanted]:
        """Return the demands on what read models are to answer."""
        return [
            (self._demands[place.demand or 0], place.origin, self.key_of(place))
            for place in self._demanding
            if place.answered_at not in self.to_source
        ]

    def _under(self, keys: Keys) -> list[Place]:
        """Return the places under a demand whose values a field has read."""
        return [place for place in self._demanding if place.reader == keys]

    def _timeout_ms(self) -> int:
        own = directive_on(self._plan.operation, FRESHNESS) if self._plan is not None else None
        if self._plan is None or own is None:
            return TIMEOUT_MS
        return self._demands[self._plan.directives.index(own)].timeout_ms


def _timed(waits_for: str, *, if_: bool) -> AbstractContextManager[object]:
    """Meter a wait, if there is anything to wait for."""
    return metrics.WAIT.labels(waits_for).time() if if_ else nullcontext()
