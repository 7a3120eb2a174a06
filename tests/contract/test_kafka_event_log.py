"""The event log on Kafka keeps the contract, and what a broker adds to it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin.records_to_delete import RecordsToDelete
from msgspec.structs import replace

from slackwater.errors import StructuralError, TransientError
from slackwater.event_log import kafka_driver, kafka_member
from slackwater.event_log.kafka import KafkaEventLog
from slackwater.event_log.kafka_driver import (
    AdminClient,
    ConfigResource,
    ConfigResourceType,
    Consumer,
    KafkaCluster,
    KafkaError,
    KafkaPartition,
)
from slackwater.event_log.kafka_logs import OncePerInterval
from slackwater.event_log.kafka_member import KafkaMember
from slackwater.event_log.kafka_subscription import KafkaSubscription
from slackwater.event_log.kafka_topics import _alter_config
from slackwater.event_log.port import EventLog, NewRecord, Subscription, Topic, TopicPartition
from slackwater.ids import new_id
from slackwater.testing.event_log_contract import EventLogContract
from slackwater.testing.event_log_reading import (
    Follower,
    close_all,
    collect,
    new_records,
    new_topic,
    open_reader,
    read_all,
    two_members,
    until,
)
from tests.engines import engine_url

pytestmark = pytest.mark.engine("kafka")

OPENING = """
from contextlib import asynccontextmanager
from slackwater.event_log.kafka import KafkaEventLog
from slackwater.event_log.kafka_driver import KafkaCluster
@asynccontextmanager
async def opened():
    cluster = KafkaCluster(bootstrap_servers={url!r})
    log = KafkaEventLog(cluster, session_timeout_ms=6_000)
    yield log
    await log.close()
"""


def cluster() -> KafkaCluster:
    return KafkaCluster(bootstrap_servers=engine_url("kafka"))


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[KafkaEventLog]:
    log = KafkaEventLog(cluster(), session_timeout_ms=6_000, **options)
    yield log
    async with admin_of(log) as admin:
        await admin.delete_topics(list(log._topics._partitions))
    await log.close()


def admin_of(log: EventLog) -> AbstractAsyncContextManager[AdminClient]:
    return cast("KafkaEventLog", log)._topics._admin("looking behind the log")


class TestKafkaEventLog(EventLogContract):
    adapter = KafkaEventLog

    @asynccontextmanager
    async def open_log(self, directory: Path) -> AsyncIterator[EventLog]:
        async with opened() as log:
            yield log

    def opening(self, directory: Path) -> str:
        return OPENING.format(url=engine_url("kafka"))

    async def trim(self, log: EventLog, topic: str) -> None:
        async with admin_of(log) as admin:
            await admin.delete_records({KafkaPartition(topic, 0): RecordsToDelete(50)})

    async def die(self, subscription: Subscription) -> None:
        coordinator = cast("KafkaSubscription", subscription)._consumer._coordinator

        async def refuse(request: object) -> None:
            raise KafkaError("the member is dead")

        coordinator._send_req = refuse


@pytest.fixture
async def log() -> AsyncIterator[KafkaEventLog]:
    async with opened() as log:
        yield log


def one_key(topic: str, count: int, *, first: int = 0, size_bytes: int = 10) -> list[NewRecord]:
    return [
        NewRecord(topic=topic, key="k", value=b"%d" % n + b" " * size_bytes)
        for n in range(first, first + count)
    ]


async def config_of(log: EventLog, topic: str) -> dict[str, str]:
    async with admin_of(log) as admin:
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {name: value for name, value, *_ in answer.resources[0][4]}


async def test_a_topic_of_events_keeps_everything_and_is_configured_as_stated(
    log: KafkaEventLog,
) -> None:
    topic = await new_topic(log, partitions=3)
    config = await config_of(log, topic)
    assert (config["retention.ms"], config["retention.bytes"]) == ("-1", "-1")
    assert config["cleanup.policy"] == "delete"
    assert config["min.insync.replicas"] == "1"
    assert config["unclean.leader.election.enable"] == "false"
    async with admin_of(log) as admin:
        [described] = await admin.describe_topics([topic])
    assert [len(each["replicas"]) for each in described["partitions"]] == [1, 1, 1]


async def test_a_bounded_topic_is_bounded_by_size_and_never_by_time(log: KafkaEventLog) -> None:
    topic = await new_topic(log, partitions=1, retention_records=40_000)
    config = await config_of(log, topic)
    assert config["retention.ms"] == "-1"
    assert int(config["retention.bytes"]) == 40_000 * 512
    assert int(config["segment.bytes"]) <= int(config["retention.bytes"]) // 4


async def test_a_changed_retention_is_taken_over_and_foreign_settings_stay(
    log: KafkaEventLog,
) -> None:
    topic = await new_topic(log, partitions=1)
    stated = await config_of(log, topic)
    async with admin_of(log) as admin:
        await _alter_config(admin, topic, {"retention.ms": "1000", "max.message.bytes": "2000000"})
    await log.create_topics([Topic(name=topic, partitions=1)])
    assert await config_of(log, topic) == stated | {"max.message.bytes": "2000000"}
    await log.create_topics([Topic(name=topic, partitions=1, retention_records=10)])
    assert (await config_of(log, topic))["retention.bytes"] == str(1 << 20)


async def test_more_replicas_than_brokers_are_refused_with_the_remedy() -> None:
    async with opened(replication_factor=7) as log:
        with pytest.raises(StructuralError, match="replication factor"):
            await new_topic(log)


async def test_an_oversized_record_is_refused_before_anything_is_appended(
    log: KafkaEventLog,
) -> None:
    topic = await new_topic(log)
    records = one_key(topic, 1) + one_key(topic, 1, size_bytes=1_000_000)
    with pytest.raises(StructuralError, match="smaller"):
        await log.append(records)
    assert sum((await log.end_offsets([topic])).values()) == 0
    assert await log.append(one_key(topic, 1, size_bytes=900_000))


async def test_an_append_that_fails_in_the_middle_leaves_only_a_prefix(
    log: KafkaEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await new_topic(log, partitions=1)
    await log.append(one_key(topic, 1))
    producer = log._appender._producer
    send_batch, sent = producer.send_batch, []

    async def fail_the_second(*arguments: Any, **options: Any) -> Any:
        sent.append(arguments)
        if len(sent) == 2:
            raise KafkaError("out of order")
        return await send_batch(*arguments, **options)

    monkeypatch.setattr(producer, "send_batch", fail_the_second)
    records = one_key(topic, 1_000, first=1, size_bytes=1_000)
    with pytest.raises(TransientError, match="try again"):
        await log.append(records)
    [length] = (await log.end_offsets([topic])).values()
    assert 1 < length < 1_001
    await log.append(records)
    assert len(sent) == 2, "the producer that failed was used again"
    numbers = [int(record.value) for record in await read_all(log, topic)]
    assert list(dict.fromkeys(numbers)) == list(range(1_001))


async def test_what_a_producer_still_held_when_it_was_given_up_is_never_sent(
    log: KafkaEventLog,
) -> None:
    topic = await new_topic(log, partitions=1)
    await log.append(one_key(topic, 1))
    producer = log._appender._producer
    with held_back(producer, topic):
        appending = asyncio.create_task(log.append(one_key(topic, 1, first=1)))
        while not producer._message_accumulator._batches:
            await asyncio.sleep(0)
        log._appender._give_up(producer, "a test")
    with pytest.raises(TransientError):
        await appending
    await log.append(one_key(topic, 1, first=2))
    assert [int(record.value) for record in await read_all(log, topic)] == [0, 2]


@contextmanager
def held_back(producer: Any, topic: str) -> Iterator[None]:
    """Keep a producer from sending, as if earlier batches were on their way."""
    producer._sender._muted_partitions.add(KafkaPartition(topic, 0))
    yield
    producer._sender._muted_partitions.clear()
    producer._message_accumulator._wakeup(producer._message_accumulator.waiter())


async def test_an_append_that_is_not_acknowledged_in_time_fails_and_the_next_goes_on() -> None:
    async with opened(append_timeout_ms=500) as log:
        topic = await new_topic(log, partitions=1)
        await log.append(one_key(topic, 1))
        began_s = time.monotonic()
        with (
            held_back(log._appender._producer, topic),
            pytest.raises(TransientError, match="in time"),
        ):
            await log.append(one_key(topic, 1, first=1))
        assert time.monotonic() - began_s < 2
        assert (await log.append(one_key(topic, 1, first=1)))[0][1] == 1


async def test_an_end_below_what_was_acknowledged_is_no_answer(log: KafkaEventLog) -> None:
    topic = await new_topic(log, partitions=1)
    await log.append(one_key(topic, 3))
    log._acknowledged[TopicPartition(topic, 0)] = 4
    with pytest.raises(TransientError, match="leads no more"):
        await log.end_offsets([topic])


async def test_a_named_member_that_comes_back_soon_moves_no_partitions() -> None:
    group = new_id()
    async with opened(group_instance_id="a") as first, opened(group_instance_id="b") as second:
        members = await two_members(first, second, await new_topic(first), group=group)
        [topic] = {at.topic for at in members[0].owned}
        await members[0].subscription.close()
        back = Follower(await first.subscribe([topic], group=group))
        await until([back, members[1]], lambda: len(back.owned) == 2)
        assert back.owned == members[0].owned
        assert members[1].assignments == 1
        await close_all([back, members[1]])


async def test_a_member_says_where_it_is_as_a_hint_for_operators(
    log: KafkaEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, group = await new_topic(log, partitions=1), new_id()
    await log.append(one_key(topic, 5))
    subscription = await open_reader(log, topic, group=group)
    await collect(subscription, 5)
    owner = cast("KafkaMember", cast("KafkaSubscription", subscription)._owner)
    owner._proven_s -= 3
    assert await subscription.poll(max_records=1, timeout_ms=0) == []
    async with admin_of(log) as admin:
        hints = await admin.list_consumer_group_offsets(group)
    assert {at.topic: hint.offset for at, hint in hints.items()} == {topic: 5}
    await subscription.close()


def fail_at_the_group(consumer: Consumer) -> None:
    consumer._coordinator.check_errors = partial(raise_error, KafkaError("ill will"))


def cease_to_look_for_brokers(consumer: Consumer) -> None:
    consumer._client._sync_task.cancel()


@pytest.mark.parametrize("group", [None, "a group"])
@pytest.mark.parametrize("fail", [fail_at_the_group, cease_to_look_for_brokers])
async def test_a_client_that_failed_is_replaced_and_reading_goes_on(
    log: KafkaEventLog, group: str | None, fail: Callable[[Consumer], None]
) -> None:
    topic = await new_topic(log)
    await log.append(new_records(topic, 20))
    group = group and new_id()
    follower = Follower(await log.subscribe([topic], group=group))
    await until([follower], lambda: len(follower.records) == 20)
    consumer = cast("KafkaSubscription", follower.subscription)._consumer
    fail(consumer)
    [(at, offset)] = await log.append(one_key(topic, 1))
    await until([follower], lambda: len(follower.records) == 21)
    last = follower.records[-1]
    assert (last.topic_partition, last.offset) == (at, offset)
    await until(
        [follower],
        lambda: cast("KafkaSubscription", follower.subscription)._consumer is not consumer,
    )
    await follower.subscription.close()


async def never(*_: object) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("silent_from", ["joining", "having joined"])
async def test_a_client_that_waits_for_its_group_for_ever_is_replaced(
    log: KafkaEventLog, silent_from: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_driver, "_STOP_TIMEOUT_S", 0.5)
    topic = await new_topic(log)
    await log.append(new_records(topic, 20))
    follower = Follower(await log.subscribe([topic], group=new_id()))
    subscription = cast("KafkaSubscription", follower.subscription)
    consumer, owner = subscription._consumer, cast("KafkaMember", subscription._owner)
    if silent_from == "joining":
        consumer._coordinator._do_rejoin_group = never
    else:
        await until([follower], lambda: len(follower.records) == 20)
        consumer._coordinator._do_commit_offsets = never
    owner._session_s = 0.5
    await until([follower], lambda: subscription._consumer not in (None, consumer))
    owner._session_s = 6.0
    await log.append(one_key(topic, 1, first=100))
    await until([follower], lambda: len(follower.records) >= 21)
    assert b"100" in {each.value.strip() for each in follower.records}
    await follower.subscription.close()


@pytest.mark.parametrize("is_heard", [True, False])
async def test_a_member_without_partitions_is_replaced_only_when_nobody_is_its_coordinator(
    log: KafkaEventLog, is_heard: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_driver, "_STOP_TIMEOUT_S", 0.5)
    topic, group = await new_topic(log, partitions=1), new_id()
    followers = [Follower(await log.subscribe([topic], group=group)) for _ in range(2)]
    subscriptions = [cast("KafkaSubscription", each.subscription) for each in followers]

    def shares() -> list[int]:
        owned = [each._owner.share() for each in subscriptions]
        return sorted(len(each.partitions) if each is not None else -1 for each in owned)

    await until(followers, lambda: shares() == [0, 1])
    [idle] = [
        each
        for each in subscriptions
        if (share := each._owner.share()) is not None and not share.partitions
    ]
    client, owner = idle._consumer, cast("KafkaMember", idle._owner)
    if not is_heard:
        monkeypatch.setattr(kafka_member, "knows_coordinator", lambda _: False)
    owner._session_s = 0.3
    began_s = time.monotonic()
    if is_heard:
        await until(followers, lambda: time.monotonic() - began_s > 3.0)
        assert idle._consumer is client
    else:
        await until(followers, lambda: idle._consumer not in (None, client))
    for follower in followers:
        await follower.subscription.close()


async def test_a_client_that_cannot_join_its_group_is_replaced(log: KafkaEventLog) -> None:
    topic = await new_topic(log)
    await log.append(new_records(topic, 20))
    subscription = await log.subscribe([topic], group=new_id())

    async def refuse(request: object) -> None:
        raise KafkaError("the coordinator answers what nobody expects")

    coordinator = cast("KafkaSubscription", subscription)._consumer._coordinator
    coordinator._do_rejoin_group = refuse
    follower = Follower(subscription)
    await until([follower], lambda: len(follower.records) == 20)
    await follower.subscription.close()


async def test_a_client_that_never_says_where_partitions_end_is_replaced(
    log: KafkaEventLog,
) -> None:
    topic = await new_topic(log, partitions=1)
    await log.append(one_key(topic, 3))
    await log.end_offsets([topic])
    silent = log._offsets._consumer
    silent.end_offsets = never
    log._offsets._cluster = replace(log._offsets._cluster, request_timeout_ms=200)
    with pytest.raises(TransientError, match="reading end offsets"):
        await log.end_offsets([topic])
    log._offsets._cluster = cluster()
    assert await log.end_offsets([topic]) == {TopicPartition(topic, 0): 3}


async def test_who_waits_for_a_silent_client_ends_no_other_one(log: KafkaEventLog) -> None:
    topic = await new_topic(log, partitions=1)
    await log.end_offsets([topic])
    offsets = log._offsets
    silent = offsets._consumer
    silent.end_offsets = never
    waiting = []
    for timeout_ms in (200, 400):
        offsets._cluster = replace(offsets._cluster, request_timeout_ms=timeout_ms)
        waiting.append(asyncio.create_task(log.end_offsets([topic])))
        await asyncio.sleep(0)  # it begins, with the deadline of this round
    offsets._cluster = cluster()
    with pytest.raises(TransientError, match="reading end offsets"):
        await waiting[0]
    await log.end_offsets([topic])
    successor = offsets._consumer
    with pytest.raises(TransientError, match="reading end offsets"):
        await waiting[1]
    assert successor is not silent
    assert offsets._consumer is successor


def raise_error(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("answers", [False, True], ids=["refuses", "is silent"])
async def test_without_a_broker_everything_fails_within_its_deadline(answers: bool) -> None:
    async with unhelpful_server(listening=answers) as port:
        away = KafkaCluster(bootstrap_servers=f"127.0.0.1:{port}", request_timeout_ms=200)
        log = KafkaEventLog(away, append_timeout_ms=500)
        log._topics._partitions["t"] = 1
        for attempt in (
            lambda: log.create_topics([Topic(name="new")]),
            lambda: log.append(one_key("t", 1)),
            lambda: log.end_offsets(["t"]),
            lambda: log.subscribe(["t"], group=None),
            lambda: log.subscribe(["unknown"], group="g"),
        ):
            log._topics._partitions["t"] = 1
            began_s = time.monotonic()
            with pytest.raises(TransientError, match="try again"):
                await attempt()
            assert time.monotonic() - began_s < 2
        await log.close()


@asynccontextmanager
async def unhelpful_server(*, listening: bool) -> AsyncIterator[int]:
    """Yield a port where nobody listens, or nobody answers."""
    done = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if not listening:
        server.close()
    yield port
    done.set()
    server.close()
    await server.wait_closed()


def test_the_same_warning_of_the_client_is_logged_once_a_minute() -> None:
    now = [0.0]
    once = OncePerInterval(60.0, lambda: now[0])
    records = [
        logging.LogRecord("aiokafka.conn", logging.WARNING, "", 0, template, (n,), None)
        for n, template in enumerate(["away %s", "away %s", "back %s"])
    ]
    assert [once.filter(record) for record in records] == [True, False, True]
    now[0] = 60.0
    assert once.filter(records[1])


async def test_what_another_producer_says_without_a_value_is_left_out(log: KafkaEventLog) -> None:
    topic = await new_topic(log, partitions=1)
    producer = AIOKafkaProducer(**cluster().options())
    await producer.start()
    try:
        headers = [("ce_actor", None), ("ce_id", b"1")]
        await producer.send_and_wait(topic, key=b"key", value=b"{}", headers=headers)
    finally:
        await producer.stop()
    [record] = await read_all(log, topic)
    assert record.headers == {"ce_id": "1"}
