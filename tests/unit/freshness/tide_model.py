"""A model of a source, its relays, the log, a projector and a gateway, one small step at a time.

The board under test is the real one. Everything around it is as small as the claim allows: events
become visible at their commit, relays tick, read, publish, mark and emit, a projector applies
partitions in any order, probes travel slowly. `Weakness` names ways to build it wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from slackwater.event_log.partitioner import partition_of
from slackwater.event_log.port import TopicPartition
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import Instant, Reading
from slackwater.read_models.progress import ModelVersion, ReadModelProgress, ReadModelState
from slackwater.read_models.read_model import ReadModel
from slackwater.testing.clock import ManualClock
from slackwater.watermarks.record import Watermark
from slackwater.watermarks.tick import Tick

PARTITIONS = 2
MODEL = ReadModel(name="model", topics={"source": ("events",)}, keyed={"events": PARTITIONS})
KEYS = {partition_of(key, PARTITIONS): key for key in "abcdef"}
"""A key of each partition."""


class Weakness(Enum):
    """One mistake each; the law must catch every one."""

    INSTANT_OF_THE_ANSWER = auto()
    ONE_PARTITION_IGNORED = auto()
    VECTOR_BEFORE_SNAPSHOT = auto()
    SNAPSHOT_BEFORE_TICK = auto()
    WATERMARK_BEFORE_PUBLISHING = auto()
    DATA_BEFORE_READING = auto()
    PARTITION_OF_ANOTHER_KEY = auto()


@dataclass(eq=False)
class Event:
    partition: int
    visible_s: float
    marked: bool = False


@dataclass
class Relay:
    """One leader, which may have been replaced without knowing it yet."""

    epoch: int
    tick: Tick | None = None
    batch: list[Event] | None = None
    published: bool = False
    vector: list[int] | None = None


@dataclass
class Read:
    """What somebody was shown: the reading that was pinned, and the events reflected.

    Who looks up a key is shown the events of its partition.
    """

    reading: Reading
    reflected: frozenset[Event]
    partition: int | None = None

    def misses(self, event: Event) -> bool:
        return event not in self.reflected and self.partition in (None, event.partition)


@dataclass
class TideModel:
    weakness: Weakness | None = None
    clock: ManualClock = field(default_factory=ManualClock)
    events: list[Event] = field(default_factory=list)
    log: list[list[Event]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])
    applied: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    tick: Tick = Tick(1, 0)  # noqa: RUF009 - a tick never changes
    relays: list[Relay] = field(default_factory=lambda: [Relay(1)])
    watermarks: list[Watermark] = field(default_factory=list)
    delivered: int = 0
    asked: Instant | None = None
    answer: Tick | None = None
    reads: list[Read] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.board = FreshnessBoard([MODEL], self.clock)

    def step(self, name: str) -> None:
        """Take one step; one that is not possible now changes nothing."""
        STEPS[name](self)

    def violation(self) -> str | None:
        """Return how a read is staler than its bound, if one is."""
        now_s = self.clock.monotonic()
        for read in self.reads:
            bound_ms = read.reading.staleness_ms(("source",), now_s)
            missing = [event for event in self.events if read.misses(event)]
            true_s = max((now_s - event.visible_s for event in missing), default=0.0)
            if bound_ms is not None and bound_ms < true_s * 1000 - 1e-6:
                return f"the bound is {bound_ms} ms and the staleness {true_s * 1000} ms"
        return None

    def commit(self, partition: int) -> None:
        self.events.append(Event(partition, self.clock.monotonic()))

    def pass_by(self) -> None:
        self.clock.advance(ms=7)

    def take_over(self) -> None:
        """A second relay takes the lead; the first goes on with what it has in hand."""
        self.tick = Tick(self.tick.epoch + 1, self.tick.n)
        self.relays = [self.relays[-1], Relay(self.tick.epoch)]

    def raise_tick(self, relay: Relay) -> None:
        if relay.tick is not None or relay.epoch != self.tick.epoch:
            return
        if self.weakness is Weakness.SNAPSHOT_BEFORE_TICK and relay.batch is None:
            relay.batch = self._unmarked()
            return
        self.tick = relay.tick = Tick(relay.epoch, self.tick.n + 1)
        if self.weakness is Weakness.VECTOR_BEFORE_SNAPSHOT:
            relay.vector = self._ends()

    def read_unpublished(self, relay: Relay) -> None:
        if relay.tick is None or relay.batch is not None or relay.epoch != self.tick.epoch:
            return
        relay.batch = self._unmarked()

    def publish(self, relay: Relay) -> None:
        """Append what was read; a relay that was replaced does so, too."""
        if relay.batch is None or relay.tick is None or relay.published:
            return
        if self.weakness is Weakness.WATERMARK_BEFORE_PUBLISHING:
            self._emit(relay.tick, self._ends())
        for event in relay.batch:
            self.log[event.partition].append(event)
        relay.published = True

    def mark_and_emit(self, relay: Relay) -> None:
        if not relay.published or relay.tick is None:
            return
        if relay.epoch == self.tick.epoch:
            for event in relay.batch or ():
                event.marked = True
            self._emit(relay.tick, relay.vector or self._ends())
        relay.tick = relay.batch = relay.vector = None
        relay.published = False

    def cycle(self) -> None:
        """Let the leader go through a whole tick."""
        leader = self.relays[-1]
        for _ in range(2):
            self.raise_tick(leader)
        self.read_unpublished(leader)
        self.publish(leader)
        self.mark_and_emit(leader)

    def deliver(self) -> None:
        """The gateway hears of watermarks."""
        self.board.on_watermarks(self.watermarks[self.delivered :])
        self.delivered = len(self.watermarks)

    def apply(self, partition: int) -> None:
        """The projector applies one event and stores its progress with it."""
        if self.applied[partition] < len(self.log[partition]):
            self.applied[partition] += 1

    def catch_up(self) -> None:
        """The projector applies all that there is."""
        self.applied = self._ends()

    def follow(self) -> None:
        """The gateway hears of progress."""
        positions = {TopicPartition("events", at): count for at, count in enumerate(self.applied)}
        progress = ReadModelProgress(
            model=ModelVersion(MODEL.name),
            active=True,
            state=ReadModelState.RUNNING,
            reason=None,
            positions=positions,
            events_applied=0,
        )
        self.board.on_progress([progress])

    def ask(self) -> None:
        if self.asked is None:
            self.asked = self._now()

    def read_tick(self) -> None:
        """The source reads its tick for the question that is on its way."""
        if self.asked is not None and self.answer is None:
            self.answer = self.tick

    def hear(self) -> None:
        if self.asked is None or self.answer is None:
            return
        late = self.weakness is Weakness.INSTANT_OF_THE_ANSWER
        self.board.on_probe("source", self.answer, self._now() if late else self.asked)
        self.asked = self.answer = None

    def probe(self) -> None:
        self.ask()
        self.read_tick()
        self.hear()

    def read(self) -> None:
        """Somebody reads: the reading first, the data second."""
        if self.weakness is Weakness.DATA_BEFORE_READING and len(self.reads) % 2 == 0:
            data = self._reflected()
            for name in ("apply 0", "apply 1", "follow"):
                self.step(name)
            self.reads = [*self.reads[-2:], Read(self.board.reading(MODEL.name), data)]
            return
        self.reads = [*self.reads[-2:], Read(self.board.reading(MODEL.name), self._reflected())]

    def look_up(self, partition: int) -> None:
        """Somebody reads by a key of the partition."""
        wrong = self.weakness is Weakness.PARTITION_OF_ANOTHER_KEY
        key = KEYS[1 - partition if wrong else partition]
        reading = self.board.reading_of_key(MODEL.name, key)
        self.reads = [*self.reads[-2:], Read(reading, self._reflected(), partition)]

    def restart_gateway(self) -> None:
        """A gateway that starts reads the watermarks that are retained, and no probe."""
        self.board = FreshnessBoard([MODEL], self.clock)
        self.delivered, self.asked, self.answer = 0, None, None

    def _emit(self, tick: Tick, ends: list[int]) -> None:
        if self.weakness is Weakness.ONE_PARTITION_IGNORED:
            ends = ends[:1]
        self.watermarks.append(
            Watermark(
                source="source",
                epoch=tick.epoch,
                n=tick.n,
                clock=self.clock.now(),
                offsets={"events": ends},
            )
        )

    def _ends(self) -> list[int]:
        return [len(partition) for partition in self.log]

    def _unmarked(self) -> list[Event]:
        return [event for event in self.events if not event.marked]

    def _reflected(self) -> frozenset[Event]:
        pairs = zip(self.log, self.applied, strict=True)
        return frozenset(event for events, count in pairs for event in events[:count])

    def _now(self) -> Instant:
        return Instant(self.clock.monotonic(), self.clock.now())


STEPS: dict[str, Callable[[TideModel], object]] = {
    "commit 0": lambda model: model.commit(0),
    "commit 1": lambda model: model.commit(1),
    "time": TideModel.pass_by,
    "cycle": TideModel.cycle,
    "tick": lambda model: model.raise_tick(model.relays[-1]),
    "snapshot": lambda model: model.read_unpublished(model.relays[-1]),
    "publish": lambda model: model.publish(model.relays[-1]),
    "emit": lambda model: model.mark_and_emit(model.relays[-1]),
    "late publish": lambda model: model.publish(model.relays[0]),
    "late emit": lambda model: model.mark_and_emit(model.relays[0]),
    "take over": TideModel.take_over,
    "deliver": TideModel.deliver,
    "apply 0": lambda model: model.apply(0),
    "apply 1": lambda model: model.apply(1),
    "catch up": TideModel.catch_up,
    "follow": TideModel.follow,
    "probe": TideModel.probe,
    "ask": TideModel.ask,
    "read tick": TideModel.read_tick,
    "hear": TideModel.hear,
    "read": TideModel.read,
    "look up 0": lambda model: model.look_up(0),
    "look up 1": lambda model: model.look_up(1),
    "restart gateway": TideModel.restart_gateway,
}
