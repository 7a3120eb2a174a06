"""The contract of the relay on a database: nothing lost, order kept, watermarks sound, one leader.

Subclass `RelayContract` in a test module, name the database's `adapter` and say how a source is
opened: a handle on the database of a directory with a doorbell. The event log is the embedded one.
Two sources on one directory must behave as two processes would.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest
from sqlalchemy import Connection, MetaData, false, insert, select

from slackwater.clock import SystemClock
from slackwater.database.port import Database, DatabaseCapability, Session
from slackwater.doorbell import Doorbell
from slackwater.errors import FencedError, TransientError
from slackwater.event_log.port import (
    Assignment,
    EventLog,
    EventLogCapability,
    NewRecord,
    Record,
    Subscription,
    Topic,
    TopicPartition,
)
from slackwater.event_log.sqlite import SqliteEventLog
from slackwater.events.cloudevents import from_headers
from slackwater.events.event import Event
from slackwater.local_doorbell import LocalDoorbell
from slackwater.outbox import leader as leader_module
from slackwater.outbox import probed
from slackwater.outbox.leader import Leader
from slackwater.outbox.lineage import Lineage
from slackwater.outbox.probed import read_probed
from slackwater.outbox.publishing import Publishing
from slackwater.outbox.relay import Relay, outbox_bell
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.ticks import current_tick, read_acknowledged
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.outbox.unpublished import count_unpublished
from slackwater.testing import counting
from slackwater.testing.claims import AdapterContract, Guarantee, holds, needs
from slackwater.watermarks.record import WATERMARKS, Watermark
from slackwater.watermarks.tick import Tick

T = TypeVar("T")

_DEADLINE_S = 20.0
_SIGN_OF_LIFE_S = 5.0
_TAKEOVER_S = 5.0
_LONG_MS = 60_000
_ALL = 10**9

_RELAY_FOR_EVER = """
import asyncio
from pathlib import Path
from slackwater.event_log.sqlite import SqliteEventLog
async def main():
    log = SqliteEventLog(Path(log_directory), doorbell)
    await source_type(database, doorbell, log).relay().run()
asyncio.run(main())
"""


class Source:
    """A database of counters with its doorbell and an event log, whose events a relay publishes.

    A subclass may keep them in other tables, or raise them otherwise.
    """

    tables: ClassVar[KernelTables] = counting.tables
    metadata: ClassVar[MetaData] = counting.metadata
    repeated_max: int | None = None
    """How many events are published again where a leader ended; None: those it was not told of."""

    publishing = Publishing.OUTBOX

    overtakes = True
    """Whether an event may be published after one of a greater position."""

    keeps_events = True
    """Whether the table of events has all that was ever published."""

    def __init__(self, database: Database, doorbell: Doorbell, log: EventLog) -> None:
        self.database = database
        self.doorbell = doorbell
        self.log = log

    def leader(self, *, log: EventLog | None = None, session: Session | None = None) -> Leader:
        return Leader(
            counting.SOURCE,
            topics=[counting.COUNTERS.name],
            tables=self.tables,
            session=session or self.database,
            log=log or self.log,
            clock=SystemClock(),
        )

    def lineage(self) -> Lineage:
        return Lineage(
            counting.SOURCE,
            topics=[counting.COUNTERS.name],
            tables=self.tables,
            session=self.database,
            log=self.log,
            clock=SystemClock(),
        )

    def relay(
        self,
        *,
        log: EventLog | None = None,
        heartbeat_ms: int = 100,
        retention_s: float | None = None,
    ) -> Relay:
        return Relay(
            counting.SOURCE,
            topics=[counting.COUNTERS.name],
            tables=self.tables,
            database=self.database,
            log=log or self.log,
            doorbell=self.doorbell,
            heartbeat_ms=heartbeat_ms,
            retention_s=retention_s,
        )

    async def prepare(self) -> None:
        """Make what must be there before anything is committed."""
        await self.database.transact(self.metadata.create_all)
        await self.log.create_topics([counting.COUNTERS, WATERMARKS])

    async def raise_counter(self, counter_id: str) -> None:
        await self.database.transact(lambda connection: self.raise_in(connection, counter_id))

    def ring(self) -> None:
        """Wake whoever relays, as a service does behind a commit."""
        self.doorbell.ring(outbox_bell(counting.SOURCE))

    def raise_in(self, connection: Connection, counter_id: str) -> None:
        """Raise a counter and tell of it, in a transaction that is open."""
        self.raise_by(self.unit_of_work(connection), counter_id)

    def raise_by(self, unit: UnitOfWork, counter_id: str) -> None:
        """Raise a counter and tell of it, as part of a unit of work."""
        unit.run(lambda unit: counting.raise_counter(unit, counter_id))

    def unit_of_work(self, connection: Connection) -> UnitOfWork:
        """Return one whose events leave as this source's do."""
        return counting.unit_of_work(connection, self.tables, self.publishing)

    def create(self, connection: Connection, counter_ids: Iterable[str]) -> None:
        """Create counters that many will raise at once: nobody has to race for their creation."""
        rows = [{"id": counter_id, "value": 0} for counter_id in counter_ids]
        connection.execute(insert(counting.counters), rows)

    async def tick(self) -> Tick:
        return await self.database.read(
            lambda connection: current_tick(connection, self.tables.tick)
        )

    async def acknowledged(self) -> dict[TopicPartition, int]:
        return await self.database.read(
            lambda connection: read_acknowledged(connection, self.tables.tick)
        )

    async def unpublished(self) -> int:
        return await self.database.read(
            lambda connection: count_unpublished(connection, self.tables.events, most=_ALL)
        )

    def waiting_runs(self, connection: Connection) -> frozenset[str]:
        """Return the correlation ids of events that are visible and not published yet."""
        table = self.tables.events
        waiting = select(table.c.correlationid).where(table.c.published == false()).distinct()
        return frozenset(connection.execute(waiting).scalars())

    async def events(self) -> list[Event]:
        records = await self.records(counting.COUNTERS.name)
        return [from_headers(each.topic, each.headers, each.value) for each in records]

    async def watermarks(self) -> list[Watermark]:
        """Return what was claimed; with what a timeline begins claims nothing."""
        return [each for each in await self.announced() if each.offsets]

    async def announced(self) -> list[Watermark]:
        return [Watermark.from_value(each.value) for each in await self.records(WATERMARKS.name)]

    async def records(self, topic: str) -> list[Record]:
        subscription = await self.log.subscribe([topic], group=None)
        records: list[Record] = []
        while True:
            polled = await subscription.poll(max_records=1_000, timeout_ms=20)
            if isinstance(polled, Assignment):
                await subscription.seek({})
            elif polled:
                records.extend(polled)
            else:
                await subscription.close()
                return records


Opener = Callable[[], Awaitable[Source]]


class SourceContract(AdapterContract):
    """What contracts of sources work with; say how one is opened."""

    source_type: ClassVar[type[Source]] = Source

    @abstractmethod
    def open_database(
        self, directory: Path
    ) -> AbstractAsyncContextManager[tuple[Database, Doorbell]]:
        """Open one more handle on the database of `directory`, and a doorbell beside it."""

    @abstractmethod
    def opening_program(self, directory: Path) -> str:
        """Return Python source that binds `database` and `doorbell` to such, elsewhere."""

    def relaying_program(self, directory: Path) -> str:
        """Return Python source that relays for ever."""
        of_source = self.source_type
        return (
            f"from {of_source.__module__} import {of_source.__name__} as source_type\n"
            f"{self.opening_program(directory)}\n"
            f"log_directory = {str(directory / 'log')!r}\n{_RELAY_FOR_EVER}"
        )

    @pytest.fixture
    async def open_source(self, tmp_path: Path) -> AsyncIterator[Opener]:
        async with AsyncExitStack() as sources:

            async def open_one() -> Source:
                database, doorbell = await sources.enter_async_context(self.open_database(tmp_path))
                log = SqliteEventLog(tmp_path / "log", LocalDoorbell())
                sources.push_async_callback(log.close)
                return self.source_type(database, doorbell, log)

            yield open_one

    @pytest.fixture
    async def source(self, open_source: Opener) -> Source:
        source = await open_source()
        await source.prepare()
        return source

    @pytest.fixture
    async def other(self, source: Source, open_source: Opener) -> Source:
        return await open_source()


class RelayContract(SourceContract):
    """What the relay does on every database; the test names are the contract."""

    @holds(Guarantee.ORDER)
    async def test_every_commit_is_published_once_and_in_version_order(
        self, source: Source, other: Source
    ) -> None:
        leader = await leading(source)
        writes = asyncio.gather(
            *(
                each.raise_counter(f"c{number % 7}")
                for number in range(70)
                for each in (source, other)
            )
        )
        while not writes.done():
            await leader.step()
        await writes
        await leader.step()
        events = await source.events()
        assert len(events) == len({event.id for event in events}) == 140
        for number in range(7):
            versions = [event.version for event in events if event.aggregate_id == f"c{number}"]
            assert versions == list(range(1, 21))

    async def test_what_a_batch_cannot_hold_is_published_by_the_same_step(
        self, source: Source
    ) -> None:
        leader = await leading(source)

        def raise_often(connection: Connection) -> None:
            for number in range(1_100):
                source.raise_in(connection, f"c{number % 3}")

        await source.database.transact(raise_often)
        assert await leader.step() == 1_100
        ends = await source.log.end_offsets([counting.COUNTERS.name])
        [watermark] = await source.watermarks()
        assert watermark.is_reached_by(ends, [counting.COUNTERS.name])
        assert sum(ends.values()) == 1_100

    async def test_a_step_ends_however_busy_the_writers_are(
        self, source: Source, other: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(leader_module, "_BATCH_MAX", 3)
        leader = await leading(source, log=_BusyLog(source.log, other))
        for number in range(7):
            await source.raise_counter(f"c{number}")
        assert await leader.step() == 9
        assert await source.unpublished() > 0

    @holds(Guarantee.WATERMARKS)
    async def test_a_watermark_covers_everything_visible_before_its_tick(
        self, source: Source
    ) -> None:
        leader = await leading(source)
        for number in range(5):
            await source.raise_counter(f"c{number}")
            before = await source.tick()
            await leader.step()
            watermark = (await source.watermarks())[-1]
            assert watermark.tick > before
            ends = await source.log.end_offsets([counting.COUNTERS.name])
            assert sum(ends.values()) == number + 1
            assert watermark.is_reached_by(ends, [counting.COUNTERS.name])
            one_less = {**ends, max(ends, key=ends.__getitem__): max(ends.values()) - 1}
            assert not watermark.is_reached_by(one_less, [counting.COUNTERS.name])

    @holds(Guarantee.WATERMARKS)
    async def test_a_successor_claims_what_its_predecessor_had_acknowledged(
        self, source: Source
    ) -> None:
        await source.raise_counter("c")
        await (await leading(source)).step()
        [claimed] = await source.watermarks()
        log = _ForgetfulLog(source.log)
        successor = source.leader(log=log)
        await successor.take_lead()
        log.answers_old_ends = True
        await successor.step()
        assert (await source.watermarks())[-1].offsets == claimed.offsets

    async def test_a_commit_between_tick_and_snapshot_does_no_harm(
        self, source: Source, other: Source
    ) -> None:
        leader = source.leader(session=_InterruptedSession(source.database, other))
        await leader.take_lead()
        await leader.step()
        assert len(await source.events()) == 1
        [watermark] = await source.watermarks()
        assert sum(sum(each) for each in watermark.offsets.values()) == 1

    async def test_an_idle_leader_keeps_ticking(self, source: Source) -> None:
        leader = await leading(source)
        for _ in range(3):
            await leader.step()
        ticks = [str(watermark.tick) for watermark in await source.watermarks()]
        assert ticks == ["1.1", "1.2", "1.3"]

    @holds(Guarantee.ATOMICITY)
    async def test_rolled_back_work_never_appears(self, source: Source) -> None:
        leader = await leading(source)

        def fails(connection: Connection) -> None:
            source.raise_in(connection, "c1")
            raise ValueError("on purpose")

        with pytest.raises(ValueError, match="on purpose"):
            await source.database.transact(fails)
        await source.raise_counter("c2")
        assert await leader.step() == 1
        assert [event.aggregate_id for event in await source.events()] == ["c2"]

    @needs(DatabaseCapability.CONCURRENT_WRITERS)
    async def test_nothing_is_skipped_while_another_transaction_is_in_flight(
        self, source: Source, other: Source
    ) -> None:
        leader = await leading(source)
        async with in_flight(other, lambda connection: other.raise_in(connection, "early")):
            await source.raise_counter("late")
            assert await leader.step() == 1
            assert [event.aggregate_id for event in await source.events()] == ["late"]
        assert await leader.step() == 1
        assert {event.aggregate_id for event in await source.events()} == {"late", "early"}
        assert await source.unpublished() == 0

    @holds(Guarantee.DURABILITY)
    async def test_death_between_append_and_mark_repeats_events_and_loses_none(
        self, source: Source, other: Source
    ) -> None:
        await source.raise_counter("c1")
        dying = source.leader(log=DyingLog(source.log))
        await dying.take_lead()
        with pytest.raises(TransientError):
            await dying.step()
        assert await source.watermarks() == []
        await (await leading(other)).step()
        events = await source.events()
        assert len(events) == 2
        assert len({event.id for event in events}) == 1
        [watermark] = await source.watermarks()
        assert sum(sum(each) for each in watermark.offsets.values()) == 2

    async def test_a_replaced_leader_publishes_marks_and_claims_nothing_more(
        self, source: Source, other: Source
    ) -> None:
        old, new = await leading(source), await leading(other)
        await source.raise_counter("c1")
        with pytest.raises(FencedError):
            await old.step()
        assert await source.events() == []
        assert await new.step() == 1

    async def test_a_leader_replaced_before_its_snapshot_publishes_nothing(
        self, source: Source, other: Source
    ) -> None:
        await source.raise_counter("c1")
        old = source.leader(session=_ReplacedSession(source.database, other))
        await old.take_lead()
        with pytest.raises(FencedError):
            await old.step()
        assert (await source.events(), await source.watermarks()) == ([], [])

    @holds(Guarantee.FENCING)
    async def test_a_leader_replaced_before_the_acknowledgement_marks_and_claims_nothing(
        self, source: Source, other: Source
    ) -> None:
        await source.raise_counter("c1")
        old = source.leader(log=_OvertakenLog(source.log, other))
        await old.take_lead()
        with pytest.raises(FencedError):
            await old.step()
        assert await source.unpublished() == 1
        assert await source.watermarks() == []

    @needs(DatabaseCapability.CONCURRENT_WRITERS)
    async def test_nobody_takes_the_lead_while_marks_are_being_committed(
        self, source: Source, other: Source
    ) -> None:
        await source.raise_counter("c1")
        halting = _HaltingSession(source)
        old = source.leader(session=halting)
        await old.take_lead()
        step = asyncio.create_task(old.step())
        assert await asyncio.to_thread(halting.has_marked.wait, _DEADLINE_S)
        taking = asyncio.create_task(leading(other))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(taking), 0.3)
        halting.may_commit.set()
        assert await step == 1
        assert await (await taking).step() == 0

    async def test_leaders_that_begin_at_once_have_epochs_of_their_own(
        self, source: Source, other: Source
    ) -> None:
        led = await asyncio.gather(
            *(leading(each) for _ in range(5) for each in (source, other)), return_exceptions=True
        )
        assert all(isinstance(each, Leader | FencedError) for each in led)
        assert str(await source.tick()) == "10.0"
        assert len({each.timeline for each in await source.announced()}) == 1

    async def test_a_running_relay_is_woken_by_a_commit(
        self, source: Source, other: Source
    ) -> None:
        async with running(source.relay(heartbeat_ms=_LONG_MS)):
            await until(lambda: has_watermarks(source))
            await other.raise_counter("c1")
            other.ring()
            await until(lambda: has_events(source, 1))

    async def test_a_probe_reads_the_tick_and_counts_what_waits_up_to_a_limit(
        self, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(probed, "WAITING_MAX", 2)

        async def read() -> tuple[Tick, int]:
            probed = await source.database.read_one(lambda each: read_probed(each, source.tables))
            return probed.tick, probed.waiting

        before = await read()
        assert before == (await source.tick(), 0)
        leader = await leading(source)
        for waiting in (1, 2, 2):
            await source.raise_counter("c1")
            assert await read() == (await source.tick(), waiting)
        await leader.step()
        assert await read() == (await source.tick(), 0)
        assert (await source.tick()).n > before[0].n

    async def test_relays_of_one_source_take_turns_and_do_not_fight(
        self, source: Source, other: Source
    ) -> None:
        first = asyncio.create_task(other.relay().run())
        await until(lambda: has_watermarks(source, 1))
        async with running(source.relay()):
            await until(lambda: has_watermarks(source, 15))
            assert (await source.tick()).epoch == 1
            await ended(first)
            await until(lambda: has_epoch(source, 2))

    async def test_a_standby_takes_over_in_seconds_after_the_leader_was_killed(
        self, source: Source, tmp_path: Path
    ) -> None:
        program = self.relaying_program(tmp_path)
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
        try:
            await until(lambda: has_watermarks(source))
            async with running(source.relay()):
                await source.raise_counter("c1")
                await until(lambda: has_events(source, 1))
                process.kill()
                await source.raise_counter("c1")
                async with asyncio.timeout(_TAKEOVER_S):
                    await until(lambda: has_epoch(source, 2))
                    await until(lambda: has_events(source, 2))
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        versions = {event.id: event.version for event in await source.events()}
        assert list(versions.values()) == [1, 2]  # one may be there twice: killed before its mark

    async def test_a_relay_goes_on_by_itself_after_trouble(self, source: Source) -> None:
        await source.raise_counter("c1")
        async with running(source.relay(log=DyingLog(source.log))):
            await until(lambda: has_watermarks(source))
        assert await source.unpublished() == 0


class LogAround:
    """An event log that stands around another."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    @property
    def capabilities(self) -> frozenset[EventLogCapability]:
        return self._log.capabilities

    async def create_topics(self, topics: Sequence[Topic]) -> None:
        await self._log.create_topics(topics)

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        return await self._log.append(records)

    async def end_offsets(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        return await self._log.end_offsets(topics)

    async def subscribe(self, topics: Sequence[str], *, group: str | None) -> Subscription:
        return await self._log.subscribe(topics, group=group)

    async def close(self) -> None:
        await self._log.close()


class DyingLog(LogAround):
    """Dies once, when events are durable and nobody has heard of it."""

    has_died = False

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        appended = await super().append(records)
        if not self.has_died and has_events_among(records):
            self.has_died = True
            raise TransientError("the connection broke after the append")
        return appended


class _BusyLog(LogAround):
    """Lets others commit as much with each append as was appended."""

    def __init__(self, log: EventLog, other: Source) -> None:
        super().__init__(log)
        self._other = other

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        if has_events_among(records):
            for number, _ in enumerate(records):
                await self._other.raise_counter(f"busy{number}")
        return await super().append(records)


class _ForgetfulLog(LogAround):
    """Answers, where it is told to, with ends from before anything was appended.

    So does a broker that was replaced and has not noticed.
    """

    answers_old_ends = False

    async def end_offsets(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        ends = await super().end_offsets(topics)
        return dict.fromkeys(ends, 0) if self.answers_old_ends else ends


class _OvertakenLog(LogAround):
    """Lets another relay take the lead before it acknowledges events."""

    def __init__(self, log: EventLog, other: Source) -> None:
        super().__init__(log)
        self._other = other

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        appended = await super().append(records)
        if has_events_among(records):
            await leading(self._other)
        return appended


class SessionAround:
    """A session that does something else between the steps of a leader."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def transact(self, work: Callable[[Connection], T]) -> T:
        return await self._session.transact(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._session.read(work)


class _InterruptedSession(SessionAround):
    """Lets a commit happen between the tick and each snapshot, as long as there is none."""

    def __init__(self, session: Session, other: Source) -> None:
        super().__init__(session)
        self._other = other

    async def read(self, work: Callable[[Connection], T]) -> T:
        if not await self._other.unpublished():
            await self._other.raise_counter("c1")
        return await super().read(work)


class _ReplacedSession(SessionAround):
    """Lets another relay take the lead between the tick and the snapshot."""

    def __init__(self, session: Session, other: Source) -> None:
        super().__init__(session)
        self._other = other

    async def read(self, work: Callable[[Connection], T]) -> T:
        await leading(self._other)
        return await super().read(work)


class _HaltingSession(SessionAround):
    """Halts before the commit of the marks."""

    def __init__(self, source: Source) -> None:
        super().__init__(source.database)
        self._events = source.tables.events
        self.has_marked = threading.Event()
        self.may_commit = threading.Event()

    async def transact(self, work: Callable[[Connection], T]) -> T:
        def halting(connection: Connection) -> T:
            pending = count_unpublished(connection, self._events, most=_ALL)
            outcome = work(connection)
            if pending and not count_unpublished(connection, self._events, most=_ALL):
                self.has_marked.set()
                assert self.may_commit.wait(_DEADLINE_S)
            return outcome

        return await super().transact(halting)


def has_events_among(records: Sequence[NewRecord]) -> bool:
    return any(record.topic != WATERMARKS.name for record in records)


async def leading(source: Source, *, log: EventLog | None = None) -> Leader:
    leader = source.leader(log=log)
    await leader.take_lead()
    return leader


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        await ended(task)


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@asynccontextmanager
async def in_flight(
    source: Source, work: Callable[[Connection], None], *, open_s: float = 0.0
) -> AsyncIterator[None]:
    """Keep a transaction that has done `work` open inside the context, and commit it after.

    Say how long that is wanted for, if it is long.
    """
    has_worked, may_commit = threading.Event(), threading.Event()

    def halting(connection: Connection) -> None:
        work(connection)
        has_worked.set()
        end_s = time.monotonic() + open_s + _DEADLINE_S
        while not may_commit.wait(_SIGN_OF_LIFE_S):  # or the server ends it
            connection.execute(select(1))
            assert time.monotonic() < end_s

    transaction = asyncio.create_task(source.database.transact(halting))
    try:
        assert await asyncio.to_thread(has_worked.wait, _DEADLINE_S)
        yield
    finally:
        may_commit.set()
        await transaction


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_DEADLINE_S):
        while not await is_so():
            pass


async def has_watermarks(source: Source, count: int = 1) -> bool:
    return len(await source.watermarks()) >= count


async def has_events(source: Source, count: int) -> bool:
    return len({event.id for event in await source.events()}) >= count


async def has_epoch(source: Source, epoch: int) -> bool:
    return (await source.tick()).epoch >= epoch
