"""How far a service has come with what it listens to, as its own database says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import pytest
from sqlalchemy import update

from contracts.events.inventory import ProductAdded
from slackwater.event_log.port import EventLog
from slackwater.service.read_after import ConsumedSources
from slackwater.watermarks.record import Watermark
from slackwater.watermarks.tick import Tick
from tests.integration.service_bench import OpenDatabase, ServiceBench, running
from tests.unit.given_events import euros, published
from write_services.orders.service import service

TEA = ProductAdded(name="Tea", description="", price=euros(250), stock_available=1)
BEFORE_TEA, WITH_TEA = (Tick(1, n, "first") for n in (1, 2))
SOON_MS = 50


@pytest.fixture
async def orders(open_database: OpenDatabase) -> AsyncIterator[ServiceBench]:
    async with running(service, open_database) as bench:
        yield bench


def consumed_of(bench: ServiceBench) -> ConsumedSources:
    """Return what knows that the tea, at offset 0, is claimed by the second tick."""
    consumers = [bench.saga_consumer(consumer) for consumer in bench.service.consumers]
    consumed = ConsumedSources(consumers, database=bench.database, log=cast("EventLog", None))
    consumed.on_watermarks([watermark(BEFORE_TEA, 0), watermark(WITH_TEA, 1)])
    return consumed


def watermark(tick: Tick, end: int) -> Watermark:
    topic = published(TEA, "tea").event.topic
    return Watermark(
        source="inventory",
        timeline=tick.timeline,
        epoch=tick.epoch,
        n=tick.n,
        clock=datetime.now(UTC),
        offsets={topic: [end]},
        since={topic: [0]},
    )


async def has_tea(consumed: ConsumedSources) -> bool:
    """Tell whether a command that names a token of the first tick may go on."""
    return await consumed.wait_for({"inventory": BEFORE_TEA}, timeout_ms=SOON_MS)


async def test_a_token_is_met_once_its_write_was_consumed(orders: ServiceBench) -> None:
    consumed = consumed_of(orders)
    assert not await has_tea(consumed)
    await orders.hear(published(TEA, "tea"))
    assert await has_tea(consumed)


async def test_a_token_is_not_met_any_more_where_the_database_was_put_back(
    orders: ServiceBench,
) -> None:
    """As by a standby that takes over without what the consumer had committed."""
    consumed = consumed_of(orders)
    await orders.hear(published(TEA, "tea"))
    assert await has_tea(consumed)
    progress = orders.service.tables.consumer_progress
    await orders.database.transact(
        lambda connection: connection.execute(update(progress).values(position=0))
    )
    assert not await has_tea(consumed)
