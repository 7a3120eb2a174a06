"""The protocol on embedded storage, one small step at a time.

Everything is the real thing: a source with its outbox, relays, the log, projectors, replays and
rebuilds, progress and documents, the board of a gateway. What is the test's are the clock and the
order of steps: each process stops before each thing that it asks of database, log or store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from slackwater.consumer.timelines import Timelines
from slackwater.database.sqlite import SqliteDatabase
from slackwater.errors import FencedError, TransientError
from slackwater.event_log.partitioner import partition_of
from slackwater.event_log.port import Assignment, Record, Subscription, TopicPartition
from slackwater.event_log.sqlite import SqliteEventLog
from slackwater.events.event import Recorded
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import Instant, Reading
from slackwater.local_doorbell import LocalDoorbell
from slackwater.outbox.leader import Leader
from slackwater.outbox.ticks import current_tick
from slackwater.parts.dead_letters import Chosen
from slackwater.parts.replay import Decision, replay
from slackwater.read_models.discards import Treatment
from slackwater.read_models.documents import Collection, Find
from slackwater.read_models.paging import discards_of
from slackwater.read_models.progress import ModelVersion, active_entry
from slackwater.read_models.projection import Guard, Projection, Ref, Rows
from slackwater.read_models.projector import Projector
from slackwater.read_models.read_model import ReadModel
from slackwater.read_models.search import Index, SearchField
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.target import DocumentTarget, SearchTarget, Target
from slackwater.testing import counting
from slackwater.testing.clock import ManualClock
from slackwater.watermarks.newest import newest_by_topic
from slackwater.watermarks.record import WATERMARKS, Watermark
from slackwater.watermarks.tick import Tick
from tests.properties.lazy_index import LazyIndex
from tests.properties.process import Gated, Process
from tests.sqlite_copy import copy

TOPIC, SOURCE = counting.COUNTERS, counting.SOURCE
MODEL = ReadModel(
    name="counters", topics={SOURCE: (TOPIC.name,)}, keyed={TOPIC.name: TOPIC.partitions}
)
_COLLECTION = "counters"
_INDEX = Index(name=_COLLECTION, fields=(SearchField(name="title"),))
_PARTITIONS = [TopicPartition(TOPIC.name, number) for number in range(TOPIC.partitions)]
_BATCH_MAX = 3
_ROUND = 13
"""Steps at a time; few cycles have a length that divides it, so a process stops anywhere."""
_BEGIN = 5
_DRAIN_STEPS_MAX = 2_000


def _neighbours() -> tuple[str, str, str]:
    """Return two counters of one partition, and one of another."""
    first, *rest = [f"c{number}" for number in range(20)]
    place = partition_of(first, TOPIC.partitions)
    beside = next(each for each in rest if partition_of(each, TOPIC.partitions) == place)
    apart = next(each for each in rest if partition_of(each, TOPIC.partitions) != place)
    return first, beside, apart


COUNTERS = _neighbours()


@dataclass(frozen=True)
class Committed:
    """An event, when it became visible, and the tick that its writer was given a token of."""

    counter: str
    value: int
    visible_s: float
    tick: Tick


@dataclass(frozen=True)
class Begun:
    """A read that has its reading and not yet its data; of one counter, or of all."""

    reading: Reading
    counter: str | None
    parked: frozenset[str | None]


class ViolationError(AssertionError):
    """A promise was broken."""


class World:
    """One source, one read model, and whoever works on them."""

    def __init__(self, directory: Path, *, in_search: bool = False) -> None:
        self.in_search = in_search
        self.clock = ManualClock()
        self.database = SqliteDatabase(directory / "counting.sqlite")
        self.log = SqliteEventLog(directory / "log", LocalDoorbell())
        self._stored, self._backup = directory / "documents.sqlite", directory / "backup.sqlite"
        self.documents = SqliteDocumentStore(self._stored, LocalDoorbell())
        self.progress = self.documents.progress
        self.index = LazyIndex(directory / "search.sqlite", COUNTERS)
        self.committed: list[Committed] = []
        self.broken: set[tuple[str, int]] = set()
        self.ever_broken: set[tuple[str, int]] = set()
        self.projection = self._projection()
        self.processes: dict[str, Process] = {}
        self.begun: Begun | None = None
        self.asked: Instant | None = None
        self.answer: Tick | None = None

    async def open(self) -> None:
        await self.database.transact(counting.metadata.create_all)
        await self.log.create_topics([TOPIC, WATERMARKS])
        await self.progress.register(ModelVersion(MODEL.name))
        await self._target(ModelVersion(MODEL.name), self.documents, self.index).prepare()
        await self.restart_gateway()
        await self.back_up()

    async def close(self) -> None:
        for process in self.processes.values():
            await process.die()
        await self.documents.close()
        await self.index.close()
        await self.log.close()
        await self.database.close()

    async def commit(self, counter: str, *, broken: bool = False) -> None:
        value = 1 + sum(each.counter == counter for each in self.committed)
        if broken:
            self.broken.add((counter, value))
            self.ever_broken.add((counter, value))
        await self.database.transact(
            lambda connection: counting.unit_of_work(connection).run(
                lambda unit: counting.raise_counter(unit, counter)
            )
        )
        tick = await self._tick()
        self.committed.append(Committed(counter, value, self.clock.monotonic(), tick))

    async def commit_and_apply(self, counter: str) -> None:
        await self.commit(counter)
        await self.round("relay")
        await self.round("projector")
        await self.show("projector")

    async def pass_by(self) -> None:
        self.clock.advance(ms=7)

    async def take_over(self, name: str) -> None:
        """A new process comes; the one before goes on with what it has in hand."""
        if (late := self.processes.pop(f"late {name}", None)) is not None:
            await late.die()
        if name in self.processes:
            self.processes[f"late {name}"] = self.processes.pop(name)
        for _ in range(_BEGIN):
            await self.step(name)

    async def die(self, name: str) -> None:
        if (process := self.processes.pop(name, None)) is not None:
            await process.die()

    async def step(self, name: str) -> None:
        """Let a process take a step; one that there is not begins, unless it is a late one."""
        if name not in self.processes:
            if name.startswith("late ") or self._is_busy_by_hand(name):
                return
            folds = self.in_search and name not in _BY_HAND and name != "relay"
            self.processes[name] = Process(_WORK[name].__get__(self), stops_beside=folds)
        process = self.processes[name]
        with suppress(FencedError, TransientError):
            await process.step()
        if process.has_ended:
            del self.processes[name]

    async def show(self, name: str) -> None:
        """Let what a process has written be shown, and its progress be saved."""
        for _ in range(_ROUND):
            await self.step_beside(name)

    async def step_beside(self, name: str) -> None:
        """Let a process take a step of showing what it has written."""
        if self.in_search and name in self.processes:
            await self.processes[name].step_beside()

    def _is_busy_by_hand(self, name: str) -> bool:
        return name in _BY_HAND and bool((_BY_HAND - {name}) & self.processes.keys())

    async def round(self, name: str) -> None:
        """Let a process take many steps."""
        for _ in range(_ROUND):
            await self.step(name)

    async def restart_gateway(self) -> None:
        self.board = FreshnessBoard([MODEL], self.clock)
        self._watermarks = await self._subscribed(WATERMARKS.name, {})
        self.begun = self.asked = self.answer = None
        self.parked: frozenset[str | None] = frozenset()

    async def back_up(self) -> None:
        """Copy documents and progress, as they are."""
        copy(self._stored, self._backup)

    async def put_back(self) -> None:
        """Put them back to the copy, under projectors; gateways and commands were stopped first.

        A projector of a version of which there is nothing any more ends by itself.
        """
        for name in [*_BY_HAND, "builder"]:
            await self.die(name)
        version = await self.progress.active(MODEL.name)
        copy(self._backup, self._stored)
        if await self.progress.active(MODEL.name) != version:
            for name in ("projector", "late projector"):
                await self.die(name)
        await self.restart_gateway()

    async def look_around(self) -> None:
        """The gateway hears of everything there is."""
        while await self.deliver():
            pass
        await self.follow()
        for step in (self.ask, self.answered, self.hear):
            await step()

    async def deliver(self) -> bool:
        """The gateway hears of some watermarks, if there are any."""
        polled = await self._watermarks.poll(max_records=2, timeout_ms=0)
        assert not isinstance(polled, Assignment)
        self.board.on_watermarks([Watermark.from_value(record.value) for record in polled])
        return bool(polled)

    async def follow(self) -> None:
        entries = await self.progress.load()
        await self._check_holes()
        active = active_entry(entries, MODEL.name)
        self.board.on_progress(entries)
        self.parked = frozenset(hole.key for hole in active.holes) if active else frozenset()

    async def ask(self) -> None:
        if self.asked is None:
            self.asked = Instant(self.clock.monotonic(), self.clock.now())

    async def answered(self) -> None:
        if self.asked is not None and self.answer is None:
            self.answer = await self._tick()

    async def ask_and_answer(self) -> None:
        await self.ask()
        await self.answered()

    async def hear(self) -> None:
        if self.asked is not None and self.answer is not None:
            self.board.on_probe(SOURCE, self.answer, self.asked)
            self.asked = self.answer = None

    async def begin_read(self, counter: str | None) -> None:
        reading = (
            self.board.reading(MODEL.name)
            if counter is None
            else self.board.reading_of_key(MODEL.name, counter)
        )
        self.begun = Begun(reading, counter, self.parked)

    async def end_read(self) -> None:
        """Read the data, and compare what is shown with what was promised."""
        if (begun := self.begun) is None:
            return
        self.begun = None
        seen = await self._seen(begun.reading.version)
        left_out = await self._left_out()
        missing = [
            each
            for each in self.committed
            if begun.counter in (None, each.counter)
            and each.value not in seen.get(each.counter, ())
            and not left_out(each)
        ]
        now_s = self.clock.monotonic()
        bound_ms = begun.reading.staleness_ms((SOURCE,), now_s)
        _check_bound("the bound", bound_ms, missing, now_s)
        elsewhere = [each for each in missing if each.counter not in begun.parked]
        if None not in begun.parked:
            bound_ms = begun.reading.staleness_ms((SOURCE,), now_s, except_holes=True)
            _check_bound("the bound except holes", bound_ms, elsewhere, now_s)
        reached = begun.reading.reaches[SOURCE].reached
        for each in missing:
            if reached is not None and each.tick < reached:
                raise ViolationError(f"a token was good for {each}, which is not shown")

    async def read(self, counter: str | None) -> None:
        await self.begin_read(counter)
        await self.end_read()

    async def mend(self) -> None:
        self.broken.clear()

    async def switch(self) -> None:
        """Let readers use the newest version, if it is ready."""
        newest = max(entry.model for entry in await self.progress.load())
        if await self.progress.activate(newest) and "builder" in self.processes:
            await self.die("projector")
            self.processes["projector"] = self.processes.pop("builder")

    async def drain(self) -> None:
        """Let everything that is left be done, and see that nothing is lost or out of order."""
        for name in list(self.processes):
            await self.die(name)
        await self.mend()
        await self.round("relay")
        await self._until_applied()
        await self._finish("replay")
        await self._until_applied()
        entry = active_entry(await self.progress.load(), MODEL.name)
        assert entry is not None
        if entry.holes:
            raise ViolationError(f"{entry.holes} are left")
        await self._check_holes()
        seen, left_out = await self._seen(entry.model.version), await self._left_out()
        for counter in COUNTERS:
            expected = [
                each.value
                for each in self.committed
                if each.counter == counter and not left_out(each)
            ]
            if seen.get(counter, []) != expected:
                raise ViolationError(f"{counter} shows {seen.get(counter)} and not {expected}")

    async def _until_applied(self) -> None:
        ends = await self.log.end_offsets([TOPIC.name])
        for _ in range(_DRAIN_STEPS_MAX):
            await self.step("projector")
            await self.step_beside("projector")
            entry = active_entry(await self.progress.load(), MODEL.name)
            if entry is not None and all(entry.positions.get(at, 0) >= ends[at] for at in ends):
                return
        raise ViolationError(f"the projector stands before {ends}")

    async def _finish(self, name: str) -> None:
        await self.step(name)
        for _ in range(_DRAIN_STEPS_MAX):
            if name not in self.processes:
                return
            await self.step(name)
        raise ViolationError(f"{name} never ends")

    async def _relay(self, process: Process) -> None:
        leader = Leader(
            SOURCE,
            topics=[TOPIC.name],
            tables=counting.tables,
            session=Gated(self.database, process, "transact", "read"),
            log=Gated(self.log, process, "append", "end_offsets"),
            clock=self.clock,
        )
        await leader.take_lead()
        while True:
            await leader.step()

    async def _project_active(self, process: Process) -> None:
        entry = active_entry(await self.progress.load(), MODEL.name)
        assert entry is not None
        await self._project(process, entry.model)

    async def _build(self, process: Process) -> None:
        """Build the next version, or go on with it."""
        newest = max(await self.progress.load(), key=lambda entry: entry.model)
        model = newest.model
        if newest.active or newest.is_outdated:
            model = ModelVersion(MODEL.name, newest.model.version + 1)
            await self.progress.register(model)
        await self._project(process, model)

    async def _project(self, process: Process, model: ModelVersion) -> None:
        documents, index = self._gated_documents(process), self._gated_index(process)
        target = self._target(model, documents, index)
        try:
            await self._fold(process, target, documents)
        finally:
            await target.abandon()

    async def _fold(self, process: Process, target: Target, documents: Any) -> None:
        await target.prepare()
        projector = Projector(
            self.projection,
            target=target,
            progress=documents.progress,
            timelines=Timelines(lambda: newest_by_topic(self.log)),
            clock=self.clock,
        )
        positions = await projector.assigned(_PARTITIONS)
        records = await self._subscribed(TOPIC.name, positions)
        while True:
            await process.gate()
            polled = await records.poll(max_records=_BATCH_MAX, timeout_ms=0)
            assert not isinstance(polled, Assignment)
            handling = partial(projector.handle, polled) if polled else projector.idle
            await _again(process, handling)

    async def _replay(self, process: Process) -> None:
        await self._replayed(process, None)

    async def _discard(self, process: Process) -> None:
        await self._replayed(process, Decision(by="test", why="it never fits"))

    async def _replayed(self, process: Process, decision: Decision | None) -> None:
        installation: Any = SimpleNamespace(
            manifest=SimpleNamespace(projection=lambda _name: self.projection),
            documents=self._gated_documents(process),
            search=self._gated_index(process),
            clock=self.clock,
        )
        chosen = Chosen(read_model=MODEL.name)
        async for _ in replay(installation, chosen, apply=True, decision=decision):
            pass

    def _gated_documents(self, process: Process) -> Any:
        progress = Gated(self.progress, process, *_PROGRESS_STEPS)
        return Gated(self.documents, process, "get", "commit", progress=progress)

    def _gated_index(self, process: Process) -> Any:
        return Gated(self.index, process, "get", "write", "confirm", "refresh", late=["refresh"])

    def _target(self, model: ModelVersion, documents: Any, index: Any) -> Target:
        if self.in_search:
            return SearchTarget(model, _INDEX, index, documents.progress)
        return DocumentTarget(model, self.projection.collections, documents)

    async def _subscribed(
        self, topic: str, positions: Mapping[TopicPartition, int]
    ) -> Subscription:
        subscription = await self.log.subscribe([topic], group=None)
        assert isinstance(await subscription.poll(max_records=1, timeout_ms=0), Assignment)
        await subscription.seek(positions)
        return subscription

    async def _tick(self) -> Tick:
        return await self.database.read(
            lambda connection: current_tick(connection, counting.tables.tick)
        )

    async def _seen(self, version: int) -> dict[str, list[int]]:
        stored = ModelVersion(MODEL.name, version).stored_name(_COLLECTION)
        if self.in_search:
            rows = [*self.index.shown(stored).values()]
        else:
            rows = await self.documents.find(Find(collection=stored))
        return {row.id: row.document["seen"] for row in rows}

    async def _check_holes(self) -> None:
        """See that nothing is parked but what was broken, and what waits behind it."""
        for entry in await self.progress.load():
            for hole in entry.holes:
                [first] = await self.progress.letters(entry.model, hole, limit=1)
                if _place(first.record) not in self.ever_broken:
                    raise ViolationError(f"{first.record} is parked, and nothing is wrong with it")

    async def _left_out(self) -> Callable[[Committed], bool]:
        discards = [each async for each in discards_of(self.progress, MODEL.name)]
        for each in discards:
            if _place(each.record) not in self.ever_broken:
                raise ViolationError(f"{each} is discarded, and nothing was wrong with it")
        whole = {_place(each.record)[0] for each in discards if each.treatment in _WHOLE}
        single = {_place(each.record) for each in discards}
        return lambda each: each.counter in whole or (each.counter, each.value) in single

    def _projection(self) -> Projection:
        kept: dict[str, Any] = {"collections": [Collection(name=_COLLECTION)]}
        if self.in_search:
            kept = {"index": _INDEX}
        projection = Projection(MODEL, event_types=counting.event_types, **kept)
        projection.follow(
            counting.COUNTER, Guard(row=lambda event: Ref(_COLLECTION, event.aggregate_id))
        )

        @projection.on(counting.CounterRaised)
        def raised(rows: Rows, recorded: Recorded[counting.CounterRaised]) -> None:
            counter, value = recorded.event.aggregate_id, recorded.body.value
            document = rows.edit(Ref(_COLLECTION, counter))
            document["seen"] = [*document.get("seen", ()), value]
            document["kind"] = "COUNTER"
            if (counter, value) in self.broken:
                raise ZeroDivisionError

        return projection


_PROGRESS_STEPS = ("claim", "save", "holes", "hole", "letters", "discards", "close_hole")
_BY_HAND = {"replay", "discard"}
"""An operator does one after the other."""
_WHOLE = {Treatment.AGGREGATE_LEFT_OUT}
_WORK: dict[str, Any] = {
    "relay": World._relay,
    "projector": World._project_active,
    "builder": World._build,
    "replay": World._replay,
    "discard": World._discard,
}
FIRST, BESIDE, APART = COUNTERS
Steps = dict[str, Callable[[World], Awaitable[object]]]


def _steps_of(name: str) -> Steps:
    return {
        f"{name} steps": partial(World.step, name=name),
        f"{name} works": partial(World.round, name=name),
        f"{name} dies": partial(World.die, name=name),
    }


ALWAYS: Steps = {
    **{f"commit {each}": partial(World.commit, counter=each) for each in COUNTERS},
    f"{FIRST} goes the whole way": partial(World.commit_and_apply, counter=FIRST),
    "time": World.pass_by,
    "relay works": partial(World.round, name="relay"),
    "projector works": partial(World.round, name="projector"),
    "gateway looks around": World.look_around,
    **{f"read {each}": partial(World.read, counter=each) for each in COUNTERS},
    "read all": partial(World.read, counter=None),
}
THEMES: dict[str, Steps] = {
    "relays": {
        **_steps_of("relay"),
        "relay takes over": partial(World.take_over, name="relay"),
        "late relay steps": partial(World.step, name="late relay"),
    },
    "projectors": {
        **_steps_of("projector"),
        "projector takes over": partial(World.take_over, name="projector"),
        "late projector steps": partial(World.step, name="late projector"),
    },
    "gateway": {
        "deliver": World.deliver,
        "follow": World.follow,
        "ask": World.ask,
        "answer": World.answered,
        "ask and answer": World.ask_and_answer,
        "hear": World.hear,
        **{f"begin {each}": partial(World.begin_read, counter=each) for each in COUNTERS},
        "begin all": partial(World.begin_read, counter=None),
        "end": World.end_read,
        "restart gateway": World.restart_gateway,
    },
    "poison": {
        "commit broken": partial(World.commit, counter=FIRST, broken=True),
        "mend": World.mend,
        **_steps_of("replay"),
        **_steps_of("discard"),
    },
    "rebuild": {**_steps_of("builder"), "switch": World.switch},
    "backup": {
        **_steps_of("projector"),
        "back up": World.back_up,
        "put back": World.put_back,
    },
}
SHOWING: Steps = {
    "projector shows": partial(World.show, name="projector"),
    "projector shows a little": partial(World.step_beside, name="projector"),
    "late projector shows": partial(World.step_beside, name="late projector"),
    "builder shows": partial(World.show, name="builder"),
    "builder shows a little": partial(World.step_beside, name="builder"),
}
"""What is done in a search index alone; a history with one of these is one of a search index."""
THEMES["search"] = SHOWING | THEMES["projectors"]
STEPS: Steps = ALWAYS | {name: step for theme in THEMES.values() for name, step in theme.items()}


@asynccontextmanager
async def world_in(directory: Path, *, in_search: bool = False) -> AsyncIterator[World]:
    """Yield a world in an empty directory; it keeps rows in documents or in a search index."""
    world = World(directory, in_search=in_search)
    try:
        await world.open()
        yield world
    finally:
        await world.close()


async def _again(process: Process, work: Callable[[], Awaitable[None]]) -> None:
    """Do it until it is done, as a consumer does."""
    while True:
        try:
            return await work()
        except TransientError:
            await process.gate()


def _check_bound(what: str, bound_ms: int | None, missing: list[Committed], now_s: float) -> None:
    true_ms = max((now_s - each.visible_s for each in missing), default=0.0) * 1000
    if bound_ms is not None and true_ms > bound_ms + 1e-6:
        raise ViolationError(f"{what} is {bound_ms} ms, and {missing} is missing for {true_ms} ms")


def _place(record: Record) -> tuple[str, int]:
    return record.headers["ce_subject"], int(record.headers["ce_aggregateversion"])
