"""The freshness of one operation: what it waits for, what is pinned, and how it was served.

    tokens and demands ──► wait ──► pin the readings ──► judge demands ──► data is read ──► tell
                         (deadline)     (W first)                         (data second)

Readings of all read models are pinned at once, and always before data of theirs is read:

- a query's after it has waited, before execution begins;
- a mutation's when its first command has been answered, before anything below a payload is
  resolved, so that they may show the write and are not from before it; a command's own answer is
  no read model's;
- a subscription's when the event before was delivered. `reading()` renews that of one read model
  until the next event comes, so a generator calls it before it reads the event's data.

Data is read later than its reading was pinned, so it may be newer and never older: the bound that
was pinned holds for it. A reading that is asked for twice is the same, since data read for the
first must not be told of with the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graphql import OperationType
from graphql.pyutils import Path
from strawberry.types.info import Info

from gateway.freshness.asked import Asked
from gateway.freshness.demands import TIMEOUT_MS, Demand
from gateway.freshness.directives import FRESHNESS, directive_on
from gateway.freshness.judgement import Judgement, judged, stale_as_served, wait_until_met
from gateway.freshness.paths import Keys, Steps, keys_of, steps_of, without_indices
from gateway.freshness.plan import Place, Plan
from gateway.freshness.read_after import ReadAfter
from gateway.freshness.served import ServedFrom
from gateway.freshness.serving import Serving, instant_at
from gateway.freshness.stale import Stale
from slackwater.clock import Clock
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import Instant, Reading
from slackwater.freshness.token import ConsistencyToken, TokenSigner

_LAGGING_AFTER_MS = 1_000
_NOTHING_STALE = Judgement()


class OperationFreshness:
    """Implements `RequestFreshness`; the transport makes one an operation.

    `header` is the request's `Slackwater-Freshness`.
    """

    def __init__(
        self,
        *,
        board: FreshnessBoard,
        signer: TokenSigner,
        clock: Clock,
        header: str | None = None,
        lagging_after_ms: int = _LAGGING_AFTER_MS,
    ) -> None:
        self.board = board
        self.signer = signer
        self.header = header
        self.lagging_after_ms = lagging_after_ms
        self.asked = Asked()
        self.plan: Plan | None = None
        self.has_begun = False
        self.records: dict[Steps, Serving] = {}
        self.data: Any = None
        self._clock = clock
        self._begun = Instant(clock.monotonic(), clock.now())
        self._demands: Sequence[Demand] = ()
        self._read_after = ReadAfter(ConsistencyToken(), board)
        self._readings: Mapping[str, Reading] | None = None
        self._read: set[str] = set()
        self._judgement = _NOTHING_STALE
        self._between_events = False

    @property
    def is_watched(self) -> bool:
        """Whether execution must look out for stale fields, or for when to pin readings."""
        if self.plan is None:
            return False
        stale = self._judgement
        is_query = self.plan.operation.operation is OperationType.QUERY
        return not is_query or bool(stale.fields) or bool(stale.values)

    def now_s(self) -> float:
        return self._clock.monotonic()

    def reading(self, read_model: str) -> Reading:
        """Return the read model's freshness as pinned for this operation (W first, data second)."""
        self._read.add(read_model)
        if self._between_events:
            self._renew(read_model)
        return self._pinned()[read_model]

    async def settled_reading(
        self, info: Info[Any, Any], *, read_model: str, sources: tuple[str, ...]
    ) -> Reading:
        """Return the reading of a read model that the plan did not foresee for this field.

        It is waited for as the declared one was: until it reflects the writes of the operation's
        tokens and meets the demands with WAIT on this field.
        """
        if read_model not in self._read:
            await self._settle(info, read_model, sources)
            if read_model not in self._read:  # nothing of it has been read yet
                self._renew(read_model)
        return self.reading(read_model)

    def asks_source(self, info: Info[Any, Any]) -> bool:
        """Tell whether this field must be answered by the write service (`onStale: SOURCE`)."""
        to_source = self._judgement.to_source
        return bool(to_source) and keys_of(info.path) in to_source

    def served(
        self,
        info: Info[Any, Any],
        *,
        read_model: str | None,
        sources: tuple[str, ...],
        served_from: ServedFrom,
        complete: bool = True,
        asked_s: float | None = None,
        reading: Reading | None = None,
    ) -> None:
        """Record that this field, with all below it, was served otherwise than declared."""
        serving = Serving(
            read_model=read_model,
            sources=sources,
            served_from=served_from,
            complete=complete,
            reading=reading if served_from is ServedFrom.CACHE else self._known(read_model),
            asked=self._asked(asked_s) if served_from is ServedFrom.SOURCE else None,
        )
        self.records[steps_of(info.path)] = serving
        if served_from is not ServedFrom.SOURCE:
            self._check(keys_of(info.path), serving)

    async def begin(self, plan: Plan, demands: Sequence[Demand], token: ConsistencyToken) -> None:
        """Wait for what is asked, and pin what the operation reads.

        Raises:
            InvalidConsistencyToken: the token names a tick that cannot be.
            StaleRead: the writes of the token are not reflected in time.
        """
        self.plan, self._demands = plan, demands
        self._read = {read_model for read_model, _ in plan.reads}
        self._read_after = ReadAfter(token, self.board)
        asked_s = self.now_s()
        await self._read_after.wait(plan.reads, asked_s, timeout_ms=self._timeout_ms(plan))
        wanted = [(demands[place.demand or 0], place.origin) for place in plan.demanding]
        await wait_until_met(wanted, self.board, self._clock, asked_s)
        if plan.operation.operation is not OperationType.MUTATION:
            self.pin()
        self._between_events = plan.operation.operation is OperationType.SUBSCRIPTION
        self.has_begun = True

    def pin(self) -> None:
        """Pin the readings of all read models, unless they are, and judge the demands on them."""
        if self._readings is None:
            self._readings = self.board.snapshot()
            self._judge()

    def begin_event(self) -> None:
        """An event has come, whose data was read after the readings pinned by now."""
        self._between_events = False
        self._judge()

    def end_event(self) -> None:
        """An event was delivered; what comes next is read later than this."""
        self.records, self.data = {}, None
        self._begun = Instant(self._clock.monotonic(), self._clock.now())
        self._readings = self.board.snapshot()
        self._between_events = True

    def stale_field(self, path: Path, type_name: str) -> Stale | None:
        """Return why a field must not be resolved."""
        stale = self._judgement.fields
        return stale.get((keys_of(path), type_name)) if stale else None

    def stale_value(self, path: Path, type_name: str) -> Stale | None:
        """Return why a value of this type must not be shown."""
        stale = self._judgement.values
        return stale.get((keys_of(path), type_name)) if stale else None

    def declared(self, place: Place) -> Serving:
        """Return a place served as declared."""
        return self.from_read_model(place.read_model, place.sources)

    def from_read_model(self, read_model: str, sources: tuple[str, ...]) -> Serving:
        return Serving(read_model=read_model, sources=sources, reading=self._known(read_model))

    def servings_at(self, path: Path | None, type_name: str) -> list[Serving]:
        """Return how the object at a path was served; several if its type leaves that open."""
        recorded = self.recorded_at(path)
        if recorded is not None:
            return [recorded]
        for keys in _prefixes(keys_of(path)):
            found = self._readers(keys, type_name)
            if found:
                return found
        return []

    def recorded_at(self, path: Path | None) -> Serving | None:
        """Return what was recorded of the object at a path, or of what it is a part of."""
        for steps in _prefixes(steps_of(path)):
            if steps in self.records:
                return self.records[steps]
            if isinstance(steps[-1], str) and self._readers(without_indices(steps), ""):
                return None  # it was read as declared
        return None

    def _pinned(self) -> Mapping[str, Reading]:
        self.pin()
        return self._readings or {}

    def _known(self, read_model: str | None) -> Reading | None:
        """Return a pinned reading; to pin one now would be after the data."""
        if self._readings is None or read_model is None:
            return None
        return self._readings.get(read_model)

    def _renew(self, read_model: str) -> None:
        self._readings = {**self._pinned(), read_model: self.board.reading(read_model)}

    def _judge(self) -> None:
        if self.plan is not None and self.plan.demanding:
            places, readings = self.plan.demanding, self._pinned()
            self._judgement = judged(places, self._demands, readings, self.now_s())

    async def _settle(
        self, info: Info[Any, Any], read_model: str, sources: tuple[str, ...]
    ) -> None:
        pairs = [(read_model, source) for source in sources]
        asked_s = self.now_s()
        await self._read_after.wait(pairs, asked_s, timeout_ms=TIMEOUT_MS)
        demands = [self._demands[one.demand or 0] for one in self._under(keys_of(info.path))]
        wanted = [(demand, (read_model, sources)) for demand in demands]
        await wait_until_met(wanted, self.board, self._clock, asked_s)

    def _check(self, keys: Keys, serving: Serving) -> None:
        reading = serving.proof
        pairs = [(reading.read_model, source) for source in serving.sources]
        self._read_after.check(pairs, {reading.read_model: reading})
        for place in self._under(keys):
            stale = stale_as_served(place, self._demands, reading, self.now_s())
            if stale is not None:
                raise stale.exception()

    def _under(self, keys: Keys) -> list[Place]:
        """Return the places under a demand whose values a field has read."""
        places = self.plan.demanding if self.plan is not None else ()
        return [place for place in places if place.reader == keys]

    def _asked(self, asked_s: float | None) -> Instant:
        return self._begun if asked_s is None else instant_at(self._begun, asked_s)

    def _timeout_ms(self, plan: Plan) -> int:
        own = directive_on(plan.operation, FRESHNESS)
        return TIMEOUT_MS if own is None else self._demands[plan.directives.index(own)].timeout_ms

    def _readers(self, keys: Keys, type_name: str) -> list[Serving]:
        places = [one for one in (self.plan.places if self.plan else ()) if one.path == keys]
        reading = [place for place in places if place.reads]
        named = [place for place in reading if place.of_value and place.type_name == type_name]
        return [self.declared(place) for place in named or reading]


def _prefixes(steps: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Return a path and all above it, the longest first."""
    return (steps[:length] for length in range(len(steps), 0, -1))
