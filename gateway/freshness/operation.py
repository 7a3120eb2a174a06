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

What an event shows besides is read after it has come, so the readings of all other read models are
renewed then.

Data is read later than its reading was pinned, so it may be newer and never older: the bound that
was pinned holds for it. A reading that is asked for twice is the same, since data read for the
first must not be told of with the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import OperationType
from graphql.pyutils import Path
from msgspec.structs import replace
from strawberry.types.info import Info

from gateway.freshness.asked import Asked
from gateway.freshness.demands import Demand
from gateway.freshness.paths import keys_of, steps_of
from gateway.freshness.place import Origin, Place
from gateway.freshness.plan import Plan
from gateway.freshness.records import Records
from gateway.freshness.requirements import Requirements
from gateway.freshness.served import ServedFrom
from gateway.freshness.serving import Serving, instant_at
from gateway.freshness.stale import Stale
from slackwater.clock import Clock
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import Instant, Reach, Reading
from slackwater.freshness.token import ConsistencyToken, TokenSigner

_LAGGING_AFTER_MS = 1_000


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
        self.required = Requirements(None, (), ConsistencyToken(), (), board, clock)
        self.has_begun = False
        self.has_answered = False
        self.records = Records(None, self.declared)
        self.data: Any = None
        self.event_was_refused = False
        self._clock = clock
        self._begun = Instant(clock.monotonic(), clock.now())
        self._readings: Mapping[str, Reading] | None = None
        self._looked_up: Sequence[Reading] = ()
        self._read: set[str] = set()
        self._read_for_event: set[str] = set()
        self._between_events = False

    @property
    def is_watched(self) -> bool:
        """Whether execution must look out for stale fields, or for when to pin readings."""
        if self.plan is None:
            return False
        is_query = self.plan.operation.operation is OperationType.QUERY
        return not is_query or self.required.withholds_any

    @property
    def requires_any(self) -> bool:
        """Whether anything of the operation has a demand to meet, or writes to reflect."""
        return self.required.requires_any

    def now_s(self) -> float:
        return self._clock.monotonic()

    def reading(self, read_model: str) -> Reading:
        """Return the read model's freshness as pinned for this operation (W first, data second)."""
        self._read.add(read_model)
        if self._between_events:
            self._read_for_event.add(read_model)
            self._renew(read_model)
        return self._pinned()[read_model]

    async def settled_reading(
        self,
        info: Info[Any, Any],
        *,
        read_model: str,
        sources: tuple[str, ...],
        key: str | None = None,
    ) -> Reading:
        """Return the reading of a read model that the plan did not foresee for this field.

        It is waited for as the declared one was: until it reflects the writes of the operation's
        tokens and meets the demands with WAIT on this field. Where it does not meet a demand with
        SOURCE, `asks_source` says so afterwards.
        """
        keys = keys_of(info.path)
        if read_model not in self._read:
            await self.required.wait_elsewhere(keys, read_model, sources, key)
            if read_model not in self._read:  # nothing of it has been read yet
                self._renew(read_model)
        reading = self.reading(read_model)
        if key is not None:
            of_key = self.board.reading_of_key(read_model, key)
            # Data is read from the version that is pinned.
            reading = of_key if of_key.version == reading.version else reading
        self.required.judge_elsewhere(keys, reading)
        return reading

    def asks_source(self, info: Info[Any, Any]) -> bool:
        """Tell whether this field must be answered by the write service (`onStale: SOURCE`)."""
        to_source = self.required.to_source
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
            reading=reading
            if reading is not None or served_from is ServedFrom.CACHE
            else self._known(read_model),
            asked=self._asked(asked_s) if served_from is ServedFrom.SOURCE else None,
        )
        self.records.add(steps_of(info.path), serving)
        if served_from is not ServedFrom.SOURCE and not self._is_command(info.path):
            self.required.check(keys_of(info.path), serving)

    def absent(self, info: Info[Any, Any]) -> None:
        """Record that this field, or something below it, has looked for what is not there."""
        self.records.absences.add(steps_of(info.path))

    def is_proven(self, serving: Serving) -> bool:
        """Tell whether a serving shows all that was visible when the operation began."""
        proven_s = serving.proven_s
        return proven_s is not None and proven_s >= self._begun.monotonic_s

    def read_member(self, info: Info[Any, Any], type_name: str, origin: Origin) -> None:
        """Record which member of a union or interface this field reads, and from where."""
        read_model, sources = origin
        serving = Serving(
            read_model=read_model,
            sources=sources,
            reading=self._known(read_model),
            member=type_name,
        )
        for place in self._places(info.path):
            if place.of_value and place.type_name == type_name:
                serving = replace(serving, reading=self.declared(place).reading)
        self.records.add(steps_of(info.path), serving)
        stale = self.stale_value(info.path, type_name)
        if stale is not None:
            raise stale.exception()

    async def begin(
        self,
        plan: Plan,
        demands: Sequence[Demand],
        token: ConsistencyToken,
        keys: Sequence[str | None] = (),
    ) -> None:
        """Wait for what is asked, and pin what the operation reads.

        `keys` are those of the plan's look-ups.

        Raises:
            InvalidConsistencyToken: the token names a tick that cannot be.
            StaleRead: the writes of the token are not reflected in time.
        """
        self.plan = plan
        self.records = Records(plan, self.declared)
        self.required = Requirements(plan, demands, token, keys, self.board, self._clock)
        self._read = _planned(plan)
        await self.required.wait()
        if plan.operation.operation is not OperationType.MUTATION:
            self.pin()
        self._between_events = plan.operation.operation is OperationType.SUBSCRIPTION
        self.has_begun = True

    def pin(self) -> None:
        """Pin the readings of all read models, unless they are, and judge the demands on them."""
        if self._readings is None:
            self._readings = self.board.snapshot()
            self._looked_up = self.required.look_ups_now()
            self.required.judge(self._reading_of)

    async def settled_event(self) -> bool:
        """Wait for demands with WAIT, and for writes to reflect, before an event's data is read.

        Returns:
            Whether no demand stands in the way of showing the event now.

        Raises:
            InvalidConsistencyToken: the source has left the history of the token's write.
            StaleRead: the writes of the token are not reflected in time.
        """
        await self.required.wait_for_event()
        return self.required.may_show_event()

    def may_show_event(self) -> bool:
        """Tell whether no demand stands in the way of showing an event now."""
        return self.required.may_show_event()

    def begin_event(self) -> None:
        """An event has come, whose data was read after the readings pinned by now."""
        read = {name: self._pinned()[name] for name in self._read_for_event}
        self._readings = {**self.board.snapshot(), **read}
        self._between_events = False
        self.required.judge_event(self._reading_of)

    def end_event(self) -> None:
        """An event was delivered; what comes next is read later than this."""
        self.event_was_refused = self.data is None and self.required.withholds_any
        self.records = Records(self.plan, self.declared)
        self.has_answered, self.data = False, None
        self._begun = Instant(self._clock.monotonic(), self._clock.now())
        self._readings = self.board.snapshot()
        self._read, self._read_for_event = _planned(self.plan), set()
        self._between_events = True

    def stale_field(self, path: Path, type_name: str) -> Stale | None:
        """Return why a field must not be resolved."""
        return self.required.stale_field(path, type_name)

    def stale_value(self, path: Path, type_name: str) -> Stale | None:
        """Return why a value of this type must not be shown."""
        return self.required.stale_value(path, type_name)

    def fail(self, path: Path) -> None:
        """Record that a field is null since it, or something below it, could not be answered."""
        self.records.fail(steps_of(path), self.required.to_source)

    def answer(self, data: Any) -> None:
        """Take the data of the answer, or of a subscription's event."""
        self.data, self.has_answered = data, True

    def declared(self, place: Place) -> Serving:
        """Return a place served as declared."""
        serving = self.from_read_model(place.read_model, place.sources)
        if place.look_up is None or serving.reading is None:
            return serving
        return replace(serving, reading=self._reading_of(place))

    def from_read_model(self, read_model: str, sources: tuple[str, ...]) -> Serving:
        return Serving(read_model=read_model, sources=sources, reading=self._known(read_model))

    def reach(self, read_model: str, source: str) -> Reach | None:
        """Return what was known of a read model and a source when readings were pinned."""
        reading = self._known(read_model)
        return reading.reaches.get(source) if reading is not None else None

    def _places(self, path: Path) -> tuple[Place, ...]:
        return self.plan.by_path.get(keys_of(path), ()) if self.plan is not None else ()

    def _reading_of(self, place: Place) -> Reading:
        """Return the pinned reading of what a place shows."""
        if place.look_up is not None and self._looked_up:
            return self._looked_up[place.look_up]
        return self._pinned()[place.read_model]

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

    def _asked(self, asked_s: float | None) -> Instant:
        return self._begun if asked_s is None else instant_at(self._begun, asked_s)

    def _is_command(self, path: Path) -> bool:
        """Tell whether a field is a command, whose own answer no token is about."""
        if self.plan is None or path is None or path.prev is not None:
            return False
        return self.plan.operation.operation is OperationType.MUTATION


def _planned(plan: Plan | None) -> set[str]:
    """Return the read models that a plan foresees."""
    return {read_model for read_model, _ in plan.reads} if plan is not None else set()
