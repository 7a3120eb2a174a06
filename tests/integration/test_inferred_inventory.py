"""What is inferred from inventory's rows is what inventory itself tells of them."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select, text, update

from contracts.events.inventory import StockReserved, StockShipped
from contracts.events.orders import (
    OrderCancelled,
    OrderPlaced,
    OrderRejected,
    OrderShipped,
    RejectionReason,
)
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.events.event import Event, EventBody
from slackwater.mining.inferring import Inferring
from slackwater.mining.mapping import ChangeKind, RowChange, UnmappableError
from slackwater.mining.miner import slot_of
from slackwater.mining.pgoutput import OPTIONS, Begin, Commit, Decoder, LogMessage
from slackwater.mining.reading import Reading
from slackwater.mining.replication import ReplicationStream
from slackwater.mining.slot import Slot
from slackwater.outbox.mined import Position
from slackwater.outbox.publishing import Publishing
from slackwater.service.migrations import migrate
from tests.integration.service_bench import ServiceBench, running
from tests.postgresql_server import name_of, own_database
from tests.unit.given_events import line, placed, stream
from write_services.inventory import tables
from write_services.inventory.inferring import infer, mapping
from write_services.inventory.service import service

pytestmark = pytest.mark.engine("postgresql")

_SEED = 20_261
_DEADLINE_S = 20.0
_END = text("SELECT pg_logical_emit_message(true, 'tests', 'that is all')")
_CLOSINGS: list[EventBody | None] = [
    None,
    OrderRejected(reason=RejectionReason.TIMED_OUT),
    OrderCancelled(reason=None),
    OrderShipped(),
]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with own_database(tmp_path) as url:
        yield url


@pytest.fixture
async def inventory(url: str, tmp_path: Path) -> AsyncIterator[ServiceBench]:
    """The service as it is, on an outbox; its rows are streamed beside it."""
    schema = name_of(tmp_path)
    async with running(service, lambda _: PostgresqlDatabase(url, schema=schema)) as bench:
        await _database_of(bench).outside(_slot_of(bench).make)
        yield bench


async def test_the_same_events_are_inferred_in_the_order_of_each_aggregate(
    inventory: ServiceBench,
) -> None:
    chance = random.Random(_SEED)
    for sku in ("tea", "milk", "rice"):
        await _add(inventory, sku, stock=chance.randrange(4, 9))
    for number in range(25):
        if chance.random() < 0.3:
            sku, quantity = chance.choice(["tea", "milk"]), chance.randrange(1, 6)
            await inventory.command("restock-product", sku=sku, quantity=quantity)
        await inventory.hear(*_orders(chance, number))
    told = [recorded.event for recorded in await inventory.published()]
    assert len({event.type for event in told}) == 8
    assert _said(await _inferred(inventory)) == _said(told)


async def test_a_reservation_whose_answer_had_left_the_outbox_is_told_whole(
    inventory: ServiceBench,
) -> None:
    await _add(inventory, "tea", stock=5)
    await inventory.hear(*stream("order-1", placed(line("tea", 1)), OrderShipped()))
    await inventory.database.transact(_forget_answers)
    await inventory.database.transact(lambda each: migrate(each, service.migrations))
    rows = [
        RowChange(ChangeKind.INSERTED, table.name, None, dict(row))
        for table in (tables.stock_answer, tables.stock_reservation)
        for row in await inventory.database.read(
            lambda each, table=table: each.execute(select(table)).mappings().all()  # type: ignore[misc]
        )
    ]
    assert [type(each.body) for each in infer(rows)] == [StockReserved, StockShipped]


@pytest.mark.parametrize(
    "change",
    [
        update(tables.product).values(name="another"),
        update(tables.product).values(stock_available=1),
        delete(tables.product),
    ],
)
async def test_a_change_that_no_event_tells_of_is_refused(
    inventory: ServiceBench, change: Any
) -> None:
    await _add(inventory, "tea", stock=5)
    await inventory.database.transact(lambda connection: connection.execute(change).close())
    with pytest.raises(UnmappableError, match="pg_drop_replication_slot"):
        await _inferred(inventory)


def _forget_answers(connection: Connection) -> None:
    """Have a database as the release before left it, which had removed its events."""
    connection.execute(delete(tables.stock_answer))
    connection.execute(text("UPDATE alembic_version SET version_num = '0005'"))


def _orders(chance: random.Random, number: int) -> list[Any]:
    """Draw two orders whose events come in one batch, and are one transaction's."""
    streams = []
    for name in (f"order-{number}a", f"order-{number}b"):
        lines = [line(chance.choice(["tea", "milk", "rice", "air"][: chance.randrange(1, 5)]), 1)]
        lines.append(line("tea", chance.randrange(1, 3)))
        closing = chance.choice(_CLOSINGS)
        opening: OrderPlaced = placed(*lines)
        streams.append(stream(name, opening, *([] if closing is None else [closing])))
    return [event for each in zip(*streams, strict=False) for event in each] + [
        each[-1] for each in streams
    ]


def _said(events: list[Event]) -> dict[str, list[tuple[str, ...]]]:
    """Return what is told of each aggregate; rows know the chain of an answered order alone."""
    said = defaultdict[str, list[tuple[str, ...]]](list)
    for event in events:
        told = [event.type, event.partition_key, event.data.decode()]
        if event.type.endswith(("reserved", "refused")):
            told.append(event.cause.correlation_id)
        said[event.aggregate_id].append(tuple(told))
    return dict(said)


async def _inferred(inventory: ServiceBench) -> list[Event]:
    """Stream what has happened so far."""
    database, slot = _database_of(inventory), _slot_of(inventory)
    reading = Reading("inventory", database.schema, service.tables, mapping=mapping)
    inferring = Inferring("inventory", reading, mapping, Position(0))
    decoder, events = Decoder(), list[Event]()
    await database.transact(lambda connection: connection.execute(_END).close())
    async with asyncio.timeout(_DEADLINE_S), _streaming(database, slot) as stream:
        while True:
            for message in filter(None, map(decoder.read, await stream.read(timeout_ms=1_000))):
                if isinstance(message, Begin):
                    inferring.begin(message)
                elif isinstance(message, Commit):
                    events += inferring.commit(message)
                elif isinstance(message, LogMessage):
                    return events
                else:
                    inferring.take(message)


@asynccontextmanager
async def _streaming(database: PostgresqlDatabase, slot: Slot) -> AsyncIterator[ReplicationStream]:
    stream = await ReplicationStream.open(
        database.url,
        name="tests",
        slot=slot.name,
        publications=slot.publications,
        options=OPTIONS,
    )
    try:
        yield stream
    finally:
        stream.close()


def _database_of(inventory: ServiceBench) -> PostgresqlDatabase:
    assert isinstance(inventory.database, PostgresqlDatabase)
    return inventory.database


def _slot_of(inventory: ServiceBench) -> Slot:
    return slot_of(_database_of(inventory), service.tables, Publishing.ROW_CHANGES, mapping)


async def _add(inventory: ServiceBench, sku: str, stock: int) -> None:
    price = {"minor": 250, "currency": "EUR"}
    await inventory.command("add-product", sku=sku, name=sku, price=price, stock=stock)
