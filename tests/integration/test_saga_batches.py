"""Saga steps under contention: batches shrink until they win, and nothing is done twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, delete, insert, select

from slackwater.consumer.timelines import Timelines
from slackwater.database.port import ContendedError
from slackwater.errors import FencedError, TransientError
from slackwater.event_log.port import Record, TopicPartition
from slackwater.service.saga_consumer import SagaConsumer
from slackwater.testing.clock import ManualClock
from tests.integration.service_bench import OpenDatabase, ServiceBench, running, to_record
from tests.unit.given_events import euros, line, placed, stream
from write_services.inventory.service import service

ORDERS = 40
WINS_UP_TO = 5


@pytest.fixture
async def bench(open_database: OpenDatabase) -> AsyncIterator[ServiceBench]:
    async with running(service, open_database) as bench:
        await bench.command(
            "add-product",
            sku="A",
            name="A",
            price={"minor": 100, "currency": "EUR"},
            stock=ORDERS,
        )
        yield bench


class Racing(SagaConsumer):
    """Loses with every batch that is larger than what wins; the connection breaks once."""

    breaks_at: int | None = None

    def __init__(self, bench: ServiceBench) -> None:
        self.clock = ManualClock()
        super().__init__(
            service,
            service.consumers[0],
            database=bench.database,
            clock=self.clock,
            timelines=Timelines(bench.newest_by_topic),
            committed=lambda: None,
        )
        self.sizes: list[int] = []

    async def _handle_at_once(
        self, records: Sequence[Record], admitted: Collection[tuple[TopicPartition, int]]
    ) -> None:
        self.sizes.append(len(records))
        if len(records) > WINS_UP_TO:
            raise ContendedError("others were in the way")
        if len(self.sizes) == self.breaks_at:
            raise TransientError("the connection broke")
        await super()._handle_at_once(records, admitted)


def orders() -> list[Record]:
    histories = [stream(f"order-{n}", placed(line("A", 1, euros(100)))) for n in range(ORDERS)]
    return [to_record(at, history[0], 0) for at, history in enumerate(histories)]


async def test_a_batch_that_loses_is_cut_until_it_wins(bench: ServiceBench) -> None:
    consumer, records = Racing(bench), orders()
    await consumer.assigned({record.topic_partition for record in records})
    await consumer.handle(records)
    assert consumer.sizes[:4] == [32, 16, 8, 4]
    assert await stock(bench) == 0


async def test_what_was_done_before_the_trouble_is_not_done_again(bench: ServiceBench) -> None:
    consumer, records = Racing(bench), orders()
    consumer.breaks_at = 6
    await consumer.assigned({record.topic_partition for record in records})
    with pytest.raises(TransientError):
        await consumer.handle(records)
    done = ORDERS - await stock(bench)
    assert 0 < done < ORDERS
    consumer.sizes.clear()
    await consumer.handle(records)
    assert sum(size for size in consumer.sizes if size <= WINS_UP_TO) == ORDERS - done
    assert await stock(bench) == 0


async def test_what_a_standby_lacks_is_handled_when_it_takes_over(bench: ServiceBench) -> None:
    """It has the fence, and neither the last effects nor the position behind them."""
    consumer, records = Racing(bench), orders()
    at = records[0].topic_partition
    await consumer.assigned([at])
    await consumer.handle(records[:10])
    before = await bench.database.read(_state)
    await consumer.handle(records[10:20])
    await bench.database.transact(lambda connection: _put_back(connection, before))
    with pytest.raises(FencedError, match="it rejoins"):
        await consumer.handle(records[20:])
    await _goes_on_from(10, consumer, records)
    assert await stock(bench) == 0


async def test_what_a_standby_lacks_of_another_partition_is_noticed_within_a_second(
    bench: ServiceBench,
) -> None:
    consumer, records = Racing(bench), orders()
    at, other = records[0].topic_partition, TopicPartition(records[0].topic, 1)
    elsewhere = [replace(record, partition=1) for record in records[20:]]
    await consumer.assigned([at, other])
    await consumer.handle(records[:10])
    before = await bench.database.read(_state)
    await consumer.handle(records[10:20])
    await bench.database.transact(lambda connection: _put_back(connection, before))
    await consumer.handle(elsewhere[:1])
    consumer.clock.advance(ms=1_001)
    with pytest.raises(FencedError, match=r"put back in .*partition=0"):
        await consumer.handle(elsewhere[1:2])


async def test_a_standby_that_knows_nothing_of_a_claim_has_it_made_anew(
    bench: ServiceBench,
) -> None:
    consumer, records = Racing(bench), orders()
    before = await bench.database.read(_state)
    await consumer.assigned([records[0].topic_partition])
    await consumer.handle(records[:10])
    await bench.database.transact(lambda connection: _put_back(connection, before))
    consumer.clock.advance(ms=1_001)
    with pytest.raises(FencedError, match="put back"):
        await consumer.handle(records[10:20])
    await _goes_on_from(0, consumer, records)
    assert await stock(bench) == 0


async def test_what_a_standby_lacks_is_noticed_while_nothing_comes(bench: ServiceBench) -> None:
    consumer, records = Racing(bench), orders()
    await consumer.idle()
    await consumer.assigned([records[0].topic_partition])
    await consumer.handle(records[:10])
    before = await bench.database.read(_state)
    await consumer.handle(records[10:20])
    await bench.database.transact(lambda connection: _put_back(connection, before))
    consumer.clock.advance(ms=1_001)
    with pytest.raises(FencedError, match="put back"):
        await consumer.idle()
    await _goes_on_from(10, consumer, records)
    await consumer.idle()
    assert await stock(bench) == 0


async def test_a_position_in_another_history_is_not_taken_for_ours(bench: ServiceBench) -> None:
    consumer, records = Racing(bench), orders()
    await consumer.assigned([records[0].topic_partition])
    await consumer.handle(records[:10])
    before = await bench.database.read(_state)
    before["consumer_progress"][0] |= {"position": ORDERS, "timeline": "before the restore"}
    await bench.database.transact(lambda connection: _put_back(connection, before))
    consumer.clock.advance(ms=1_001)
    with pytest.raises(FencedError, match="put back"):
        await consumer.handle(records[10:])


async def _goes_on_from(offset: int, consumer: SagaConsumer, records: Sequence[Record]) -> None:
    at = records[0].topic_partition
    positions = await consumer.assigned([at])
    assert positions[at] == offset
    await consumer.handle(records[offset:])


State = dict[str, list[dict[str, Any]]]


def _state(connection: Connection) -> State:
    """Return all rows of all tables."""
    tables = service.tables.tick.metadata.sorted_tables
    return {
        each.name: [dict(row) for row in connection.execute(select(each)).mappings()]
        for each in tables
    }


def _put_back(connection: Connection, state: State) -> None:
    tables = service.tables.tick.metadata.sorted_tables
    for table in reversed(tables):
        connection.execute(delete(table))
    for table in tables:
        if state[table.name]:
            connection.execute(insert(table), state[table.name])


async def stock(bench: ServiceBench) -> int:
    [product] = await bench.facts("product")
    available: int = product.data["stock_available"]
    return available
