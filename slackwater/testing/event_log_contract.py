"""The contract of the event log: every adapter passes it before it is called ready.

Subclass `EventLogContract` in a test module, say how a handle on the log of a directory is opened,
and run it with pytest and pytest-asyncio in its automatic mode:

    class TestSqliteEventLog(EventLogContract):
        adapter = SqliteEventLog

        @asynccontextmanager
        async def open_log(self, directory):
            ...
            yield log

        def opening(self, directory):
            return "..."  # code that does the same in another process

Two handles on one directory must behave as two processes would. Topics and groups have fresh names
in each test, so an adapter may serve them all from one installation.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest

from slackwater.errors import StructuralError
from slackwater.event_log.errors import (
    ClosedSubscriptionError,
    LostRetentionError,
    PositionBeyondEndError,
)
from slackwater.event_log.partitioner import partition_of
from slackwater.event_log.port import (
    Assignment,
    EventLog,
    NewRecord,
    Record,
    Subscription,
    Topic,
    TopicPartition,
)
from slackwater.ids import new_id
from slackwater.testing.claims import AdapterContract, Guarantee, holds
from slackwater.testing.event_log_process_cases import ProcessCases
from slackwater.testing.event_log_reading import (
    DEADLINE_S,
    POLL_TIMEOUT_MS,
    Follower,
    by_partition,
    close_all,
    collect,
    collect_until,
    new_records,
    new_topic,
    next_assignment,
    numbers_of,
    open_reader,
    partitions_of,
    poll_one,
    poll_records,
    read_all,
    refused,
    two_members,
    until,
)

_TRIMMED_S = 90.0

Opener = Callable[[], Awaitable[EventLog]]


class EventLogContract(ProcessCases, AdapterContract):
    """What every adapter of `EventLog` does; the test names are the contract."""

    @abstractmethod
    def open_log(self, directory: Path) -> AbstractAsyncContextManager[EventLog]:
        """Open one more handle on the log that belongs to `directory`."""

    @abstractmethod
    async def die(self, subscription: Subscription) -> None:
        """Make a group member fall silent as a crash would."""

    @abstractmethod
    async def trim(self, log: EventLog, topic: str) -> None:
        """Make the log forget the oldest records of a topic with one partition, and not all."""

    @pytest.fixture
    async def open_handle(self, tmp_path: Path) -> AsyncIterator[Opener]:
        async with AsyncExitStack() as handles:

            async def open_one() -> EventLog:
                return await handles.enter_async_context(self.open_log(tmp_path))

            yield open_one

    @pytest.fixture
    async def log(self, open_handle: Opener) -> EventLog:
        return await open_handle()

    @pytest.fixture
    async def topic(self, log: EventLog) -> str:
        return await new_topic(log)

    async def test_offsets_of_a_partition_begin_at_0_and_have_no_gaps(
        self, log: EventLog, topic: str
    ) -> None:
        for batch in (new_records(topic, 30), new_records(topic, 1), new_records(topic, 30)):
            await log.append(batch)
        ends = await log.end_offsets([topic])
        assert sum(ends.values()) == 61
        for at, records in by_partition(await read_all(log, topic)).items():
            assert [record.offset for record in records] == list(range(ends[at]))

    async def test_append_returns_the_place_of_each_record_in_the_order_given(
        self, log: EventLog, topic: str
    ) -> None:
        other = await new_topic(log)
        mixed = [
            NewRecord(topic=name, key=f"key {n}", value=b"%d" % n)
            for n in range(20)
            for name in (topic, other)
        ]
        places = await log.append(mixed)
        found = {
            (record.topic_partition, record.offset): (record.topic, record.key, record.value)
            for record in await read_all(log, topic, other)
        }
        wanted = [(record.topic, record.key, record.value) for record in mixed]
        assert [found[place] for place in places] == wanted

    async def test_appending_nothing_is_no_error(self, log: EventLog) -> None:
        assert await log.append([]) == []

    async def test_a_key_goes_to_the_partition_that_kafka_would_choose(
        self, log: EventLog, topic: str
    ) -> None:
        keys = [f"customer {n}" for n in range(50)]
        for _ in range(2):
            places = await log.append([NewRecord(topic=topic, key=k, value=b"") for k in keys])
            assert [at.partition for at, _ in places] == [partition_of(key, 4) for key in keys]

    async def test_a_record_comes_back_as_it_was_appended(self, log: EventLog, topic: str) -> None:
        headers = {"ce_id": "1", "ce_type": "größe", "": ""}
        record = NewRecord(topic=topic, key="ключ", value=bytes(range(256)), headers=headers)
        await log.append([record, NewRecord(topic=topic, key="ключ", value=b"")])
        first, second = await read_all(log, topic)
        assert (first.key, first.value, first.headers) == (record.key, record.value, headers)
        assert (second.value, second.headers) == (b"", {})

    @holds(Guarantee.WATERMARKS)
    async def test_what_one_handle_has_appended_another_sees_at_once(
        self, open_handle: Opener, log: EventLog, topic: str
    ) -> None:
        other = await open_handle()
        for n in range(1, 11):
            [(at, offset)] = await log.append(new_records(topic, 1))
            assert (await other.end_offsets([topic]))[at] == offset + 1 == n

    async def test_records_of_a_partition_are_polled_in_the_order_of_appending(
        self, log: EventLog, topic: str
    ) -> None:
        for n in range(10):
            await log.append(new_records(topic, 20, first=20 * n))
        for records in by_partition(await read_all(log, topic)).values():
            numbers = [int(record.value) for record in records]
            assert numbers == sorted(numbers)

    async def test_concurrent_appenders_never_collide(
        self, open_handle: Opener, log: EventLog, topic: str
    ) -> None:
        handles = [await open_handle() for _ in range(4)]
        batches = await asyncio.gather(
            *(
                handle.append(new_records(topic, 5, first=1_000 * n + 5 * batch))
                for n, handle in enumerate(handles)
                for batch in range(20)
            )
        )
        places = [place for batch in batches for place in batch]
        assert len(set(places)) == 4 * 20 * 5
        for at, records in by_partition(await read_all(log, topic)).items():
            offsets = sorted(offset for place, offset in places if place == at)
            assert [record.offset for record in records] == offsets == list(range(len(offsets)))

    @holds(Guarantee.ORDER)
    async def test_appends_at_once_keep_the_order_of_each_key(
        self, open_handle: Opener, log: EventLog, topic: str
    ) -> None:
        handles = (log, await open_handle())

        async def append(handle: EventLog, key: str) -> None:
            for n in range(20):
                values = (2 * n, 2 * n + 1)
                await handle.append(
                    [NewRecord(topic=topic, key=key, value=b"%d" % value) for value in values]
                )

        keys = [f"key {n}" for n in range(12)]
        await asyncio.gather(*(append(handles[n % 2], key) for n, key in enumerate(keys)))
        numbers = defaultdict[str, list[int]](list)
        for record in await read_all(log, topic):
            numbers[record.key].append(int(record.value))
        assert numbers == {key: list(range(40)) for key in keys}

    async def test_a_long_append_keeps_its_order(self, log: EventLog, topic: str) -> None:
        records = [
            NewRecord(topic=topic, key=f"key {n % 2}", value=b"%d" % n + b" " * 700)
            for n in range(2_000)
        ]
        places = await log.append(records)
        found = {(each.topic_partition, each.offset): each for each in await read_all(log, topic)}
        assert [found[place].value for place in places] == [record.value for record in records]
        for at in partitions_of(topic):
            offsets = [offset for place, offset in places if place == at]
            assert offsets == list(range(len(offsets)))

    async def test_an_assignment_comes_before_any_record(self, log: EventLog, topic: str) -> None:
        await log.append(new_records(topic, 10))
        for group in (None, new_id()):
            subscription = await log.subscribe([topic], group=group)
            assert await next_assignment(subscription) == partitions_of(topic)
            await subscription.close()

    async def test_no_record_comes_before_the_member_has_sought(
        self, log: EventLog, topic: str
    ) -> None:
        await log.append(new_records(topic, 10))
        subscription = await log.subscribe([topic], group=new_id())
        await next_assignment(subscription)
        assert await subscription.poll(max_records=10, timeout_ms=POLL_TIMEOUT_MS) == []
        await subscription.seek({})
        assert len(await collect(subscription, 10)) == 10
        await subscription.close()

    async def test_seeking_decides_where_each_partition_goes_on(
        self, log: EventLog, topic: str
    ) -> None:
        await log.append(new_records(topic, 100))
        ends = await log.end_offsets([topic])
        positions = {at: ends[at] // 2 for at in sorted(ends)[1:]}
        subscription = await open_reader(log, topic, positions=positions)
        wanted = sum(ends.values()) - sum(positions.values())
        found = by_partition(await collect(subscription, wanted))
        for at, end in ends.items():
            offsets = [record.offset for record in found[at]]
            assert offsets == list(range(positions.get(at, 0), end))
        await subscription.close()

    @holds(Guarantee.IDEMPOTENCE)
    async def test_records_are_delivered_again_after_seeking_back(
        self, log: EventLog, topic: str
    ) -> None:
        await log.append(new_records(topic, 40))
        subscription = await open_reader(log, topic, group=new_id())
        first = by_partition(await collect(subscription, 40))
        at, records = max(first.items(), key=lambda item: len(item[1]))
        await subscription.seek({at: 1})
        assert await collect(subscription, len(records) - 1) == records[1:]
        await subscription.close()

    async def test_a_poll_returns_no_more_than_was_asked_for(
        self, log: EventLog, topic: str
    ) -> None:
        await log.append(new_records(topic, 50))
        subscription = await open_reader(log, topic)
        sizes = [len(await poll_records(subscription, max_records=7)) for _ in range(4)]
        assert 0 < max(sizes) <= 7
        await subscription.close()

    async def test_a_backlog_in_one_partition_never_starves_another(
        self, log: EventLog, topic: str
    ) -> None:
        [(busy, _)] = await log.append([NewRecord(topic=topic, key="busy", value=b"")])
        await log.append([NewRecord(topic=topic, key="busy", value=b"")] * 300)
        subscription = await open_reader(log, topic)
        await collect(subscription, 1, max_records=1)
        key = next(k for k in map(str, range(99)) if partition_of(k, 4) != busy.partition)
        await log.append([NewRecord(topic=topic, key=key, value=b"")])
        read: list[Record] = []
        while not any(record.key == key for record in read):
            read += await poll_records(subscription, max_records=1)
        assert len(read) < 300
        await subscription.close()

    async def test_a_reader_without_a_group_reads_everything_and_disturbs_nobody(
        self, open_handle: Opener, log: EventLog, topic: str
    ) -> None:
        group = new_id()
        await log.append(new_records(topic, 20))
        member = await open_reader(log, topic, group=group)
        assert len(await collect(member, 20)) == 20
        assert len(await read_all(await open_handle(), topic)) == 20
        assert await member.poll(max_records=1, timeout_ms=POLL_TIMEOUT_MS) == []
        await member.close()

    async def test_groups_read_independently_of_one_another(
        self, log: EventLog, topic: str
    ) -> None:
        await log.append(new_records(topic, 20))
        for group in (new_id(), new_id()):
            member = await open_reader(log, topic, group=group)
            assert len(await collect(member, 20)) == 20
            await member.close()

    async def test_two_members_share_partitions_alike_over_topics_of_equal_size(
        self, open_handle: Opener, log: EventLog, topic: str
    ) -> None:
        other, group = await new_topic(log), new_id()
        logs = (log, await open_handle())
        members = [Follower(await handle.subscribe([topic, other], group=group)) for handle in logs]
        await until(members, lambda: all(len(member.owned) == 4 for member in members))
        for member in members:
            numbers = {(at.topic, at.partition) for at in member.owned}
            assert {n for name, n in numbers if name == topic} == {
                n for name, n in numbers if name == other
            }
        assert members[0].owned | members[1].owned == partitions_of(topic) | partitions_of(other)
        await close_all(members)

    async def test_a_member_without_partitions_waits_and_takes_over(
        self, open_handle: Opener, log: EventLog
    ) -> None:
        topic, group = await new_topic(log, partitions=1), new_id()
        first = Follower(await log.subscribe([topic], group=group))
        await until([first], lambda: first.owned == partitions_of(topic, 1))
        second = Follower(await (await open_handle()).subscribe([topic], group=group))
        both = [first, second]
        await until(both, lambda: second.assignments > 0 and first.assignments > 1)
        assert len(first.owned) + len(second.owned) == 1
        owner, idle = sorted(both, key=lambda member: len(member.owned), reverse=True)
        await owner.subscription.close()
        await until([idle], lambda: idle.owned == partitions_of(topic, 1))
        await idle.subscription.close()

    async def test_a_member_that_joins_takes_its_share_over_and_nothing_is_lost(
        self, open_handle: Opener, log: EventLog, topic: str
    ) -> None:
        group = new_id()
        stored: dict[TopicPartition, int] = {}
        first = Follower(await log.subscribe([topic], group=group), stored)
        await log.append(new_records(topic, 50))
        await until([first], lambda: len(first.records) == 50)
        second = Follower(await (await open_handle()).subscribe([topic], group=group), stored)
        await log.append(new_records(topic, 50, first=50))
        both = [first, second]
        await until(both, lambda: len(numbers_of(both)) == 100 and len(second.owned) == 2)
        await log.append(new_records(topic, 50, first=100))
        await until(both, lambda: len(numbers_of(both)) == 150)
        assert first.owned | second.owned == partitions_of(topic)
        assert {record.topic_partition for record in second.records} <= second.owned
        await close_all(both)

    async def test_a_member_that_leaves_hands_its_partitions_over(
        self, open_handle: Opener, log: EventLog, topic: str
    ) -> None:
        members = await two_members(log, await open_handle(), topic)
        await members[0].subscription.close()
        await until(members[1:], lambda: members[1].owned == partitions_of(topic))
        await log.append(new_records(topic, 20))
        await until(members[1:], lambda: len(numbers_of(members[1:])) == 20)
        await members[1].subscription.close()

    async def test_a_member_that_dies_is_replaced(
        self, open_handle: Opener, log: EventLog, topic: str
    ) -> None:
        members = await two_members(log, await open_handle(), topic)
        try:
            await self.die(members[0].subscription)
            await until(members[1:], lambda: members[1].owned == partitions_of(topic))
        finally:
            await close_all(members)

    @holds(Guarantee.FENCING)
    async def test_a_member_that_fell_silent_returns_nothing_until_it_is_assigned_anew(
        self, open_handle: Opener, log: EventLog, topic: str
    ) -> None:
        members = await two_members(log, await open_handle(), topic)
        try:
            await self.die(members[0].subscription)
            await until(members[1:], lambda: members[1].owned == partitions_of(topic))
            await log.append(new_records(topic, 40))
            polled = await members[0].subscription.poll(max_records=40, timeout_ms=200)
            assert isinstance(polled, Assignment) or polled == []
        finally:
            await close_all(members)

    async def test_a_batch_in_hand_is_finished_before_its_partitions_are_handed_over(
        self, open_handle: Opener, log: EventLog, topic: str
    ) -> None:
        group = new_id()
        await log.append(new_records(topic, 20))
        first = await open_reader(log, topic, group=group)
        assert await collect(first, 20)
        second = await (await open_handle()).subscribe([topic], group=group)
        assert await second.poll(max_records=10, timeout_ms=1_000) == []
        shares = await asyncio.gather(next_assignment(first), next_assignment(second))
        assert [len(share) for share in shares] == [2, 2]
        await first.close()
        await second.close()

    async def test_records_after_a_handover_begin_where_the_new_owner_sought(
        self, open_handle: Opener, log: EventLog, topic: str
    ) -> None:
        members = await two_members(log, await open_handle(), topic)
        await log.append(new_records(topic, 60))
        await until(members, lambda: len(numbers_of(members)) == 60)
        await members[0].subscription.close()
        heir = members[1].subscription
        assert await next_assignment(heir) == partitions_of(topic)
        assert await heir.poll(max_records=100, timeout_ms=POLL_TIMEOUT_MS) == []
        ends = await log.end_offsets([topic])
        await heir.seek({at: end - 1 for at, end in ends.items()})
        records = await collect(heir, sum(end > 0 for end in ends.values()))
        assert {each.topic_partition: each.offset + 1 for each in records} == ends
        await heir.close()

    async def test_a_position_beyond_the_end_is_an_error(self, log: EventLog, topic: str) -> None:
        places = await log.append(new_records(topic, 20))
        ends = await log.end_offsets([topic])
        at = places[0][0]
        for group in (None, new_id()):
            subscription = await open_reader(
                log, topic, group=group, positions=ends | {at: ends[at] + 1}
            )
            for _ in range(2):
                await refused(subscription, PositionBeyondEndError)
            await subscription.seek({at: ends[at] - 1})
            assert [record.offset for record in await collect(subscription, 1)] == [ends[at] - 1]
            await subscription.close()

    async def test_a_group_learns_of_lost_records_and_a_reader_without_one_begins_at_the_oldest(
        self, log: EventLog
    ) -> None:
        topic = await new_topic(log, partitions=1)
        await log.append(new_records(topic, 100))
        await self.trim(log, topic)
        reader = await open_reader(log, topic)
        oldest = (await poll_one(reader)).offset
        assert 0 < oldest < 100
        await reader.close()
        for position in (0, oldest - 1):
            at = TopicPartition(topic, 0)
            member = await open_reader(log, topic, group=new_id(), positions={at: position})
            await refused(member, LostRetentionError)
            await member.seek({at: oldest})
            assert (await poll_one(member)).offset == oldest
            await member.close()

    async def test_offsets_go_on_after_retention_and_the_rest_has_no_gaps(
        self, log: EventLog
    ) -> None:
        topic = await new_topic(log, partitions=1, retention_records=50)
        for n in range(20):
            await log.append(new_records(topic, 10, first=10 * n))
        [(_, offset)] = await log.append(new_records(topic, 1, first=200))
        assert offset == 200
        subscription = await open_reader(log, topic)
        records = await collect_until(subscription, lambda record: record.offset == 200)
        numbers = [int(record.value) for record in records]
        assert numbers == list(range(numbers[0], 201))
        await subscription.close()

    @holds(Guarantee.WATERMARKS)
    async def test_the_newest_record_of_a_silent_key_outlives_retention(
        self, log: EventLog
    ) -> None:
        topic = await new_topic(log, partitions=1, retention_records=50, keeps_newest=True)
        await log.append(
            [NewRecord(topic=topic, key="silent", value=b"%d" % n) for n in range(3)]
            + new_records(topic, 5)
            + [NewRecord(topic=topic, key="busy", value=bytes(10_000)) for _ in range(300)]
        )
        async with asyncio.timeout(_TRIMMED_S):
            while (kept := await _read_up_to_end(log, topic))[0].value == b"0":
                await asyncio.sleep(0.1)
                await log.append([NewRecord(topic=topic, key="busy", value=b"")])
        newest = {record.key: record.value for record in kept}
        assert newest["silent"] == b"2"
        assert [newest[f"key {n}"] for n in range(5)] == [b"%d" % n for n in range(5)]

    async def test_an_append_wakes_a_poll_in_another_handle_before_its_time_is_up(
        self, open_handle: Opener, log: EventLog, topic: str
    ) -> None:
        subscription = await open_reader(await open_handle(), topic)
        assert await subscription.poll(max_records=10, timeout_ms=POLL_TIMEOUT_MS) == []
        poll = asyncio.create_task(poll_records(subscription, timeout_ms=15_000))
        await asyncio.sleep(0)
        began_s = time.monotonic()
        await log.append(new_records(topic, 1))
        assert len(await poll) == 1
        assert time.monotonic() - began_s < 5
        await subscription.close()

    async def test_a_poll_without_news_returns_nothing_when_its_time_is_up(
        self, log: EventLog, topic: str
    ) -> None:
        subscription = await open_reader(log, topic)
        began_s = time.monotonic()
        assert await subscription.poll(max_records=10, timeout_ms=100) == []
        assert 0.09 < time.monotonic() - began_s < 5
        await subscription.close()

    async def test_a_subscription_can_be_closed_while_a_poll_waits(
        self, log: EventLog, topic: str
    ) -> None:
        subscription = await open_reader(log, topic, group=new_id())
        assert await subscription.poll(max_records=10, timeout_ms=POLL_TIMEOUT_MS) == []
        poll = asyncio.create_task(subscription.poll(max_records=10, timeout_ms=60_000))
        await asyncio.sleep(0)
        async with asyncio.timeout(DEADLINE_S):
            await subscription.close()
            assert await poll == []

    async def test_polling_a_closed_subscription_is_an_error(
        self, log: EventLog, topic: str
    ) -> None:
        subscription = await log.subscribe([topic], group=None)
        await subscription.close()
        with pytest.raises(ClosedSubscriptionError):
            await subscription.poll(max_records=10, timeout_ms=0)

    async def test_creating_a_topic_again_changes_nothing(self, log: EventLog, topic: str) -> None:
        await log.append(new_records(topic, 10))
        await log.create_topics([Topic(name=topic, partitions=4)])
        assert sum((await log.end_offsets([topic])).values()) == 10

    async def test_handles_may_create_the_same_topic_at_once(self, open_handle: Opener) -> None:
        handles = [await open_handle() for _ in range(4)]
        topic = Topic(name=f"contract.{new_id()}", partitions=3)
        await asyncio.gather(*(handle.create_topics([topic]) for handle in handles))
        for handle in handles:
            assert set(await handle.end_offsets([topic.name])) == partitions_of(topic.name, 3)

    async def test_another_number_of_partitions_is_refused(
        self, open_handle: Opener, log: EventLog, topic: str
    ) -> None:
        for handle in (log, await open_handle()):
            with pytest.raises(StructuralError, match=topic):
                await handle.create_topics([Topic(name=topic, partitions=5)])
        assert len(await log.end_offsets([topic])) == 4

    async def test_an_unknown_topic_is_refused(self, log: EventLog) -> None:
        unknown = f"contract.{new_id()}"
        with pytest.raises(StructuralError, match=unknown):
            await log.append(new_records(unknown, 1))
        with pytest.raises(StructuralError, match=unknown):
            await log.end_offsets([unknown])
        with pytest.raises(StructuralError, match=unknown):
            await log.subscribe([unknown], group=None)


async def _read_up_to_end(log: EventLog, topic: str) -> list[Record]:
    """Read a topic of one partition record by record; some may have been trimmed between others."""
    end = max((await log.end_offsets([topic])).values())
    subscription = await open_reader(log, topic)
    records = [await poll_one(subscription)]
    while records[-1].offset < end - 1:
        records.append(await poll_one(subscription))
    await subscription.close()
    return records
