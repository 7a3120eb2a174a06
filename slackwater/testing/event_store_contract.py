"""The contract of an event store's numbers: whoever follows them has every event, and none twice.

Numbers count all events of a source from 1 without a gap, in the order of publication; what was
rolled back has none. They become visible one after another, so what lies behind a checkpoint is
never joined by anything before it, whoever writes, relays, fails or is killed meanwhile.

Subclass `EventStoreContract` beside `EventSourceContract`, with `CounterStreams` as `source_type`
or a subclass of it. `WRITERS_SEED=…` repeats what was drawn.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import ColumnElement, Connection, Text, cast, select, update

from slackwater.database.port import DatabaseCapability
from slackwater.errors import FencedError, TransientError, WrongVersionError
from slackwater.event_store import subscription
from slackwater.event_store.event_store import (
    BEGINNING,
    Checkpoint,
    LostEventsError,
    Numbered,
)
from slackwater.event_store.subscription import subscribe
from slackwater.events.types import UndecodableEventError
from slackwater.outbox import leader as leader_module
from slackwater.testing.claims import Guarantee, holds, needs
from slackwater.testing.counter_streams import CounterStreams, streams
from slackwater.testing.relay_contract import (
    DyingLog,
    Opener,
    Source,
    SourceContract,
    has_watermarks,
    in_flight,
    leading,
    running,
    until,
)
from slackwater.testing.relay_lineage_contract import advance, backup, restore
from slackwater.testing.relay_writers_contract import RolledBackError, StruckLog

EVENTS = int(os.environ.get("WRITERS_EVENTS", "1500")) // 2
SEED = int(os.environ.get("WRITERS_SEED", str(random.SystemRandom().randrange(10**6))))

_WRITERS = 16
_HANDLES = 4
_KILLS = int(os.environ.get("SOURCE_KILLS", "3"))
_DEADLINE_S = 20.0
_WRITING_S = 60.0 + EVENTS / 25
_PAUSE_S = 0.01


class EventStoreContract(SourceContract):
    """What following an event store by its numbers keeps; the test names are the contract."""

    source_type: ClassVar[type[Source]] = CounterStreams

    @holds(Guarantee.ORDER)
    async def test_numbers_count_all_events_in_the_order_of_their_publication(
        self, source: Source
    ) -> None:
        await advance(source, 5)
        numbered = await read_all(source)
        assert [each.checkpoint.number for each in numbered] == [1, 2, 3, 4, 5]
        published = [event.id for event in await source.events()]
        assert sorted(published) == sorted(each.recorded.event.id for each in numbered)
        assert await read_all(source, after=numbered[2].checkpoint) == numbered[3:]
        assert await read_all(source, after=numbered[-1].checkpoint) == []

    @holds(Guarantee.ORDER)
    async def test_numbers_and_not_positions_are_the_order(self, source: Source) -> None:
        """Of a position that was taken early, an event may be published late."""
        await advance(source, 3)
        events = source.tables.events
        moved = update(events).where(events.c.number == 3).values(position=0)
        await source.database.transact(lambda connection: connection.execute(moved).close())
        numbered = await read_all(source)
        assert [each.checkpoint.number for each in numbered] == [1, 2, 3]
        assert await read_all(source, after=numbered[0].checkpoint) == numbered[1:]

    @holds(Guarantee.ORDER)
    async def test_events_are_published_and_numbered_in_order_whatever_their_ids(
        self, source: Source
    ) -> None:
        leader = await leading(source)
        for _ in range(3):
            await source.raise_counter("c1")
        backwards = update(source.tables.events).values(id=_backwards(source))
        await source.database.transact(lambda connection: connection.execute(backwards).close())
        await leader.step()
        assert [event.version for event in await source.events()] == [1, 2, 3]
        assert [each.recorded.event.version for each in await read_all(source)] == [1, 2, 3]

    async def test_an_event_has_no_number_until_it_is_published(self, source: Source) -> None:
        await source.raise_counter("c1")
        assert await read_all(source) == []
        await (await leading(source)).step()
        assert len(await read_all(source)) == 1

    @holds(Guarantee.ATOMICITY)
    async def test_what_was_rolled_back_leaves_no_gap(self, source: Source) -> None:
        def fails(connection: Connection) -> None:
            source.raise_in(connection, "c1")
            raise ValueError("on purpose")

        leader = await leading(source)
        for number in range(3):
            with pytest.raises(ValueError, match="on purpose"):
                await source.database.transact(fails)
            await source.raise_counter(f"c{number}")
            await leader.step()
        assert [each.checkpoint.number for each in await read_all(source)] == [1, 2, 3]

    @holds(Guarantee.DELIVERY)
    @needs(DatabaseCapability.CONCURRENT_WRITERS)
    async def test_an_event_that_becomes_visible_late_is_not_skipped(
        self, source: Source, other: Source
    ) -> None:
        leader = await leading(source)
        async with in_flight(other, lambda connection: other.raise_in(connection, "early")):
            await source.raise_counter("late")
            await leader.step()
            [late] = await read_all(source)
        await leader.step()
        [early] = await read_all(source, after=late.checkpoint)
        assert (late.recorded.event.aggregate_id, late.checkpoint.number) == ("late", 1)
        assert (early.recorded.event.aggregate_id, early.checkpoint.number) == ("early", 2)

    @holds(Guarantee.IDEMPOTENCE)
    async def test_an_event_that_is_published_twice_has_one_number(
        self, source: Source, other: Source
    ) -> None:
        await source.raise_counter("c1")
        dying = source.leader(log=DyingLog(source.log))
        await dying.take_lead()
        with pytest.raises(TransientError):
            await dying.step()
        assert await read_all(source) == []
        await (await leading(other)).step()
        assert len(await source.events()) == 2
        assert [each.checkpoint.number for each in await read_all(source)] == [1]

    @holds(Guarantee.FENCING)
    async def test_a_leader_that_was_replaced_gives_no_more_numbers(
        self, source: Source, other: Source
    ) -> None:
        old = await leading(source)
        await source.raise_counter("c1")
        await leading(other)
        with pytest.raises(FencedError):
            await old.mark([1])
        assert await read_all(source) == []

    @holds(Guarantee.ORDER)
    async def test_what_a_former_release_has_published_is_numbered_by_the_next_leader(
        self, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(leader_module, "_NUMBERED_MAX", 2)
        await advance(source, 2)
        for _ in range(3):
            await source.raise_counter("c9")
        table = source.tables.events
        unnumbered = (
            update(table)
            .where(table.c.number.is_(None))
            .values(published=True, id=_backwards(source))
        )
        await source.database.transact(lambda connection: connection.execute(unnumbered).close())
        [*_, last] = await read_all(source)
        await leading(source)
        later = await read_all(source, after=last.checkpoint)
        assert [each.checkpoint.number for each in later] == [3, 4, 5]
        assert [each.recorded.event.version for each in later] == [1, 2, 3]

    async def test_a_subscriber_catches_up_and_is_woken_by_what_comes(
        self, source: Source, other: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(subscription, "_BATCH_MAX", 2)
        monkeypatch.setattr(subscription, "_LOOK_INTERVAL_MS", 60_000)
        await advance(source, 5)
        following = subscribe(streams, source.database, source.doorbell)
        async with asyncio.timeout(_DEADLINE_S), aclosing(following) as numbered:
            caught_up = [(await anext(numbered)).checkpoint.number for _ in range(5)]
            live = asyncio.ensure_future(anext(numbered))
            async with running(other.relay()):
                await other.raise_counter("c1")
                assert (await live).checkpoint.number == 6
        assert caught_up == [1, 2, 3, 4, 5]

    async def test_a_new_timeline_is_read_from_the_beginning_and_numbers_on(
        self, source: Source
    ) -> None:
        await advance(source, 2)
        kept = await backup(source)
        await advance(source, 3)
        lost = await read_all(source)
        await restore(source, kept)
        await advance(source, 3)
        again = await read_all(source, after=lost[-1].checkpoint)
        assert [each.checkpoint.number for each in again] == [1, 2, 3, 4, 5]
        assert [each.recorded for each in again[:2]] == [each.recorded for each in lost[:2]]
        assert len({each.checkpoint.timeline for each in [*lost, *again]}) == 2

    async def test_a_checkpoint_that_the_source_has_lost_is_refused(self, source: Source) -> None:
        await advance(source, 2)
        [*_, last] = await read_all(source)
        ahead = last.checkpoint._replace(number=3)
        with pytest.raises(LostEventsError, match="without a checkpoint"):
            await read_all(source, after=ahead)

    @holds(Guarantee.DELIVERY)
    async def test_an_event_that_cannot_be_decoded_hides_none_before_it(
        self, source: Source
    ) -> None:
        await advance(source, 4)
        first, second, *_ = await read_all(source)
        await source.database.transact(lambda connection: _spoil(connection, source, number=3))
        assert await read_all(source) == [first, second]
        assert await read_all(source, after=first.checkpoint) == [second]
        with pytest.raises(UndecodableEventError):
            await read_all(source, after=second.checkpoint)
        following = subscribe(streams, source.database, source.doorbell)
        async with asyncio.timeout(_DEADLINE_S), aclosing(following) as numbered:
            assert [await anext(numbered), await anext(numbered)] == [first, second]
            with pytest.raises(UndecodableEventError):
                await anext(numbered)

    @holds(Guarantee.DURABILITY)
    @pytest.mark.timeout(60 + 10 * _KILLS)
    async def test_a_follower_has_every_event_once_though_relays_are_killed(
        self, source: Source, tmp_path: Path
    ) -> None:
        follower = Follower(source)
        committed = 0

        async def write() -> None:
            nonlocal committed
            while True:
                await source.raise_counter(f"c{committed % 5}")
                committed += 1
                await asyncio.sleep(_PAUSE_S)

        writing = asyncio.create_task(write())
        following = asyncio.create_task(follower.follow())
        program = self.relaying_program(tmp_path)
        for _ in range(_KILLS):
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
            wanted = len(follower.seen) + 20
            await _until_seen(follower, following, wanted)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        writing.cancel()
        await asyncio.wait([writing])
        async with running(source.relay()):
            await _until_seen(follower, following, await count_events(source))
        following.cancel()
        await asyncio.wait([following])
        follower.check(await count_events(source))
        assert follower.begun > 1

    async def test_a_number_that_was_given_to_another_event_is_noticed(
        self, source: Source
    ) -> None:
        """A standby may lack the newest marks, and whoever leads then may find events anew."""
        leader = await leading(source)
        for counter in ("c1", "c2"):
            await source.raise_counter(counter)
            await leader.step()
        first, _ = await read_all(source)
        await source.database.transact(lambda connection: _swap_numbers(connection, source))
        with pytest.raises(LostEventsError, match="begin again without a checkpoint"):
            await read_all(source, after=first.checkpoint)

    @holds(Guarantee.DELIVERY)
    @pytest.mark.timeout(3 * _WRITING_S)
    async def test_a_follower_of_sixteen_writers_and_two_relays_misses_and_repeats_nothing(
        self, source: Source, open_source: Opener
    ) -> None:
        print(f"\nWRITERS_SEED={SEED} WRITERS_EVENTS={2 * EVENTS}")  # noqa: T201 - repeats the run
        handles = [await open_source() for _ in range(_HANDLES)]
        log = StruckLog(source.log)
        follower, written = Follower(source), Written()
        following = asyncio.create_task(follower.follow())
        began_s = time.monotonic()
        async with AsyncExitStack() as stack:
            for handle in handles[:2]:
                await stack.enter_async_context(running(handle.relay(log=log)))
            await until(lambda: has_watermarks(source))
            async with asyncio.timeout(_WRITING_S), asyncio.TaskGroup() as writers:
                for number in range(_WRITERS):
                    writers.create_task(_write(handles[number % _HANDLES], number, written))
                await log.strike()
                written.was_struck = True
            await _until_seen(follower, following, written.committed)
        following.cancel()
        await asyncio.wait([following])
        assert await count_events(source) == written.committed
        follower.check(written.committed)
        overtaken = await _count_overtaken(source)
        if DatabaseCapability.CONCURRENT_WRITERS in source.database.capabilities:
            assert overtaken
        assert written.undone
        print(  # noqa: T201
            f"{written.committed} events in {time.monotonic() - began_s:.1f} s, {overtaken} "
            f"overtaken, {written.undone} transactions undone, {follower.begun} beginnings"
        )


class Written:
    """What the writers have done."""

    committed = 0
    undone = 0
    was_struck = False
    """Whether a relay has failed in between; before that they have not written enough."""


class Follower:
    """Follows a source and begins again behind its checkpoint every so often, as after a death."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._random = random.Random(SEED)  # noqa: S311 - repeatable, no secret
        self.checkpoint = BEGINNING
        self.seen: list[Numbered] = []
        self.begun = 0

    async def follow(self) -> None:
        while True:
            self.begun += 1
            left = self._random.randint(1, 40)
            following = subscribe(
                streams, self._source.database, self._source.doorbell, after=self.checkpoint
            )
            async with aclosing(following) as numbered:
                async for each in numbered:
                    self.seen.append(each)
                    self.checkpoint = each.checkpoint
                    left -= 1
                    if not left:
                        break

    def check(self, events: int) -> None:
        """Every event was seen once, by its number, and each aggregate's in their order."""
        assert [each.checkpoint.number for each in self.seen] == list(range(1, events + 1))
        assert len({each.recorded.event.id for each in self.seen}) == events
        versions = defaultdict[str, list[int]](list)
        for each in self.seen:
            versions[each.recorded.event.aggregate_id].append(each.recorded.event.version)
        for found in versions.values():
            assert found == list(range(1, len(found) + 1))


def _swap_numbers(connection: Connection, source: Source) -> None:
    events = source.tables.events
    for before, after in ((1, -1), (2, 1), (-1, 2)):
        moved = update(events).where(events.c.number == before).values(number=after)
        connection.execute(moved)


def _backwards(source: Source) -> ColumnElement[str]:
    """Return ids in an order that is against that of positions."""
    return cast(100 - source.tables.events.c.position, Text)


def _spoil(connection: Connection, source: Source, *, number: int) -> None:
    events = source.tables.events
    connection.execute(update(events).where(events.c.number == number).values(payload=b"?"))


async def read_all(source: Source, *, after: Checkpoint = BEGINNING) -> list[Numbered]:
    return await source.database.read(
        lambda connection: streams.read_all(connection, after=after, limit=10_000)
    )


async def count_events(source: Source) -> int:
    column = source.tables.events.c.id
    return await source.database.read(
        lambda connection: len(connection.execute(select(column)).all())
    )


async def _until_seen(follower: Follower, following: asyncio.Task[None], count: int) -> None:
    async with asyncio.timeout(2 * _DEADLINE_S):
        while len(follower.seen) < count:
            assert not following.done(), following.result()
            await asyncio.sleep(_PAUSE_S)


async def _write(source: Source, number: int, written: Written) -> None:
    """Raise counters, in long transactions and short ones, and give one in five up."""
    drawn = random.Random(SEED * 100 + number)  # noqa: S311 - repeatable, no secret
    while written.committed < EVENTS or not written.was_struck:
        is_long, gives_up = drawn.random() < 0.05, drawn.random() < 0.2
        open_s = drawn.uniform(0.05, 0.5) if is_long else 0.0
        shared = [f"shared {each}" for each in sorted(drawn.sample(range(40), 2))]
        counter_ids = [f"own {number}"] * 3 if is_long else shared

        def work(
            connection: Connection,
            counter_ids: Sequence[str] = counter_ids,
            open_s: float = open_s,
            gives_up: bool = gives_up,
        ) -> None:
            for counter_id in counter_ids:
                source.raise_in(connection, counter_id)
            time.sleep(open_s)
            if gives_up:
                raise RolledBackError

        try:
            await source.database.transact(work)
        except (RolledBackError, TransientError, WrongVersionError):
            written.undone += 1
        else:
            written.committed += len(counter_ids)


async def _count_overtaken(source: Source) -> int:
    """Count the events with a smaller position than one of a smaller number: hazards met."""
    table = source.tables.events
    in_order = select(table.c.position).order_by(table.c.number)
    positions = await source.database.read(
        lambda connection: connection.execute(in_order).scalars().all()
    )
    greatest, overtaken = 0, 0
    for position in positions:
        overtaken += position < greatest
        greatest = max(greatest, position)
    return overtaken
