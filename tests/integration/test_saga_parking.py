"""One bad event of a saga: it is parked with its key, and every other key goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from contracts.events.orders import OrderApproved, OrderCancelled, OrderPlaced, OrderShipped
from slackwater.database.port import Database
from slackwater.errors import PoisonousEventError, StructuralError, UnknownOutcomeError
from slackwater.event_log.port import EventLog, Record, TopicPartition
from slackwater.events.event import EventBody, Recorded
from slackwater.parts.consumer_dead_letters import (
    ParkedKeys,
    consumers_with_holes,
    letters_of_consumers,
)
from slackwater.read_models.progress import Place
from slackwater.service.read_after import ConsumedSources
from slackwater.watermarks.record import Watermark
from slackwater.watermarks.tick import Tick
from tests.integration.consuming import ALL, Consuming, handle, records
from tests.integration.service_bench import OpenDatabase, ServiceBench, running
from tests.integration.test_unknown_outcome import LosingDatabase
from tests.unit.given_events import euros, line, placed, stream
from write_services.customers.service import service

AT = TopicPartition("orders.events", 0)
CANCELLED = OrderCancelled(reason=None)


@pytest.fixture
async def bench(open_database: OpenDatabase) -> AsyncIterator[ServiceBench]:
    async with running(service, open_database) as bench:
        yield bench


@pytest.fixture
def consuming(bench: ServiceBench, tmp_path: Path) -> Consuming:
    return Consuming(bench, tmp_path)


async def create(bench: ServiceBench) -> str:
    limit = {"minor": 1_000, "currency": "EUR"}
    fields = {"name": "Ada", "email": "ada@example.com", "credit_limit": limit}
    id_: str = (await bench.command("create-customer", **fields)).body["customer"]["id"]
    return id_


def order(n: int, customer_id: str, *further: EventBody) -> list[Recorded[OrderPlaced]]:
    """Return the events of an order of 100 minor units, or as many as it has numbers."""
    opening = placed(line("tea", 1, euros(100)), customer_id=customer_id)
    return stream(f"order-{n}", opening, *further, key=customer_id)


async def reserved(bench: ServiceBench) -> dict[str, int]:
    facts = await bench.facts("customer")
    return {fact.id: fact.data["credit_reserved"]["minor"] for fact in facts}


async def in_inbox(bench: ServiceBench) -> set[str]:
    inbox = bench.service.tables.inbox
    return await bench.database.read(
        lambda connection: set(connection.execute(select(inbox.c.event_id)).scalars())
    )


def ids(*events: Recorded[Any]) -> list[str]:
    return [each.event.id for each in events]


def with_header(record: Record, name: str, text: str) -> Record:
    return replace(record, headers={**record.headers, name: text})


def without_headers(record: Record) -> Record:
    """Leave only what says of which timeline it is."""
    return replace(record, headers={"ce_timeline": record.headers["ce_timeline"]})


BAD: dict[str, Callable[[Record], Record]] = {
    "undecodable": lambda record: replace(record, value=b"{"),
    "no event at all": without_headers,
    "of a newer version": lambda record: with_header(record, "ce_schemaversion", "9"),
    "without a number": lambda record: with_header(record, "ce_aggregateversion", "x"),
}


@pytest.mark.parametrize("kind", [*BAD, "fails in the step"])
async def test_a_poisonous_event_parks_its_key_and_nothing_else(
    bench: ServiceBench, consuming: Consuming, kind: str
) -> None:
    ada, eve = await create(bench), await create(bench)
    opened, approved, cancelled = order(1, ada, OrderApproved(), CANCELLED)
    [later] = order(2, ada)
    of_eve = order(3, eve, OrderShipped())
    batch = records(opened, of_eve[0], cancelled, later, approved, of_eve[1])
    if kind in BAD:
        batch[2] = BAD[kind](batch[2])
    consuming.fragile.poison |= {cancelled.event.id}
    consumer = await consuming.begin(AT)
    await consumer.handle(batch)
    [hole] = await consuming.parked()
    assert (hole.consumer, hole.key, hole.events) == ("customers/credit", ada, 2)
    assert (hole.first_offset, hole.last_offset) == (2, 3)
    assert hole.reason
    assert await reserved(bench) == {ada: 100, eve: 0}
    assert await in_inbox(bench) == set(ids(opened, *of_eve))
    places = await bench.database.read(consumer.places)
    assert places == {AT: Place(2, "first")}


async def test_what_comes_later_of_a_parked_key_is_parked_by_whoever_takes_over(
    bench: ServiceBench, consuming: Consuming
) -> None:
    ada, eve = await create(bench), await create(bench)
    first, second, of_eve = (order(n, owner)[0] for n, owner in enumerate((ada, ada, eve)))
    consuming.fragile.poison |= {first.event.id}
    await (await consuming.begin(AT)).handle(records(first))
    successor = await consuming.begin(AT)
    unreadable = replace(without_headers(records(second, first=3)[0]), key=ada)
    await successor.handle([*records(second, of_eve, first=1), unreadable])
    assert await reserved(bench) == {ada: 0, eve: 100}
    shown = letters_of_consumers(consuming.installation, ALL, after=-1, limit=5)
    told = [(each.record.offset, each.error) async for each in shown]
    assert told == [(0, "PoisonousEventError"), (1, None), (3, None)]


async def test_what_was_parked_while_the_answer_was_lost_is_parked_once(
    bench: ServiceBench, consuming: Consuming
) -> None:
    ada = await create(bench)
    events = [order(n, ada)[0] for n in range(3)]
    consuming.fragile.poison |= {events[0].event.id}
    consumer = await consuming.begin(AT)
    consumer._database = cast("Database", LosingDatabase(bench.database))
    with pytest.raises(UnknownOutcomeError):
        await consumer.handle(records(*events[:2]))
    consuming.fragile.poison.clear()
    await consumer.handle(records(*events))
    assert [(hole.events, hole.last_offset) for hole in await consuming.parked()] == [(3, 2)]
    await consuming.replay()
    assert consuming.fragile.handled == ids(*events)


async def test_events_without_a_key_halt(bench: ServiceBench, consuming: Consuming) -> None:
    ada = await create(bench)
    first, bad = (order(n, ada)[0] for n in range(2))
    consuming.fragile.poison |= {bad.event.id}
    consumer = await consuming.begin(AT)
    keyless = [*records(first), *(replace(each, key="") for each in records(bad, first=1))]
    with pytest.raises(PoisonousEventError, match="cannot be handled"):
        await consumer.handle(keyless)
    assert await consuming.parked() == []
    assert (await bench.database.read(consumer.places))[AT].position == 1


async def test_the_bound_halts_with_the_remedy_and_a_replay_makes_room(
    bench: ServiceBench, tmp_path: Path
) -> None:
    consuming = Consuming(bench, tmp_path, letters_max=2)
    ada = await create(bench)
    events = [order(n, ada)[0] for n in range(3)]
    consuming.fragile.poison |= {events[0].event.id}
    consumer = await consuming.begin(AT)
    await consumer.handle(records(*events[:2]))
    remedy = r"2 events of orders.events\[0\] .* `slackwater dead-letter replay customers/credit"
    with pytest.raises(StructuralError, match=remedy):
        await consumer.handle(records(events[2], first=2))
    assert (await consuming.parked())[0].events == 2
    consuming.fragile.poison.clear()
    await consuming.replay()
    await handle(consumer, records(events[2], first=2))
    assert await reserved(bench) == {ada: 300}


async def test_a_command_does_not_take_what_is_parked_for_taken_in(
    bench: ServiceBench, consuming: Consuming
) -> None:
    ada = await create(bench)
    [bad] = order(1, ada)
    consuming.fragile.poison |= {bad.event.id}
    consumer = await consuming.begin(AT)
    await consumer.handle(records(bad, *order(2, "nobody")))
    consumed = ConsumedSources([consumer], database=bench.database, log=cast("EventLog", None))
    consumed.on_watermarks([watermark(1, 0), watermark(2, 2), watermark(3, 2)])
    assert await consumed.wait_for({"orders": Tick(1, 0, "first")}, timeout_ms=1_000)
    assert not await consumed.wait_for({"orders": Tick(1, 2, "first")}, timeout_ms=60)
    consuming.fragile.poison.clear()
    await consuming.replay()
    assert await consumed.wait_for({"orders": Tick(1, 2, "first")}, timeout_ms=1_000)


async def test_a_command_does_not_take_what_a_timeline_only_announces_for_taken_in(
    bench: ServiceBench, consuming: Consuming
) -> None:
    consumer = await consuming.begin(AT)
    consumed = ConsumedSources([consumer], database=bench.database, log=cast("EventLog", None))
    begins = replace(watermark(0, 0), offsets={}, since={AT.topic: [0]})
    consumed.on_watermarks([begins])
    assert not await consumed.wait_for({"orders": Tick(1, 0, "first")}, timeout_ms=60)
    consumed.on_watermarks([watermark(1, 0)])
    assert await consumed.wait_for({"orders": Tick(1, 0, "first")}, timeout_ms=1_000)


def watermark(n: int, offset: int) -> Watermark:
    return Watermark(
        source="orders",
        timeline="first",
        epoch=1,
        n=n,
        clock=placed().deadline,
        offsets={AT.topic: [offset]},
    )


async def test_what_a_restored_source_publishes_again_is_parked_again(
    bench: ServiceBench, consuming: Consuming
) -> None:
    ada = await create(bench)
    opened, cancelled = order(1, ada, CANCELLED)
    [lost] = order(2, ada)
    consuming.fragile.poison |= {cancelled.event.id}
    await (await consuming.begin(AT)).handle(records(opened, cancelled, lost))
    bench.timeline = "after the restore"
    consumer = await consuming.begin(AT)
    assert await consuming.parked() == []
    again = [
        with_header(each, "ce_timeline", bench.timeline) for each in records(opened, cancelled)
    ]
    await consumer.handle(again)
    [hole] = await consuming.parked()
    assert (hole.first_offset, hole.events) == (1, 1)
    consuming.fragile.poison.clear()
    await consuming.replay()
    assert await reserved(bench) == {ada: 0}


async def test_lag_tells_of_consumers_that_have_parked_something(
    bench: ServiceBench, consuming: Consuming
) -> None:
    assert await consumers_with_holes(consuming.installation) == []
    bad = [order(n, f"customer-{n}")[0] for n in range(2)]
    consuming.fragile.poison |= set(ids(*bad))
    await (await consuming.begin(AT)).handle(records(*bad))
    [told] = await consumers_with_holes(consuming.installation)
    assert told == ParkedKeys(consumer="customers/credit", holes=2, events=2, reason=told.reason)
    assert "ZeroDivisionError" in told.reason


@pytest.mark.engine("postgresql")
async def test_what_the_database_cannot_keep_is_parked(
    open_postgresql: OpenDatabase, tmp_path: Path
) -> None:
    async with running(service, open_postgresql) as bench:
        consuming = Consuming(bench, tmp_path)
        [unstorable], [good], [further] = order(1, "a"), order(2, "nobody"), order(3, "b")
        batch = records(unstorable, good, further, *order(4, "a"))
        batch[0] = with_header(batch[0], "ce_id", "a\0b")
        batch[2] = with_header(replace(batch[2], value=b"{"), "ce_id", "a\0b")
        await (await consuming.begin(AT)).handle(batch)
        told = [(each.key, each.events, each.error) for each in await consuming.parked()]
        assert told == [("a", 2, "UnstorableTextError"), ("b", 1, "UndecodableEventError")]
        assert consuming.fragile.handled == ids(good)
        assert [each.closed for each in await consuming.replay()] == [False, False]
