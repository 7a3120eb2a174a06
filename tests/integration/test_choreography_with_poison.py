"""The saga of all three services, where steps fail at random: what it promises holds all the same.

Every consumer reads the log as it is shipped, with inbox, parking and progress; events are
published twice at times, processes begin anew, keys are replayed while things happen, and what may
be discarded is. Once everything was replayed or discarded, each order is decided and holds what its
status says, and every consumer has handled the events of each key in the order of the log, once.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from slackwater.consumer.timelines import Timelines
from slackwater.event_log.port import Record, TopicPartition
from slackwater.installation import Installation
from slackwater.local_doorbell import LocalDoorbell
from slackwater.manifest import Manifest
from slackwater.parts.consumer_dead_letters import discarded_of_consumers, parked_of_consumers
from slackwater.parts.consumer_replay import replay_consumers
from slackwater.parts.dead_letters import Chosen
from slackwater.parts.replay import Decision
from slackwater.service.definition import ServiceDefinition
from slackwater.service.saga_consumer import SagaConsumer
from slackwater.service.steps import Steps
from slackwater.settings import load_settings
from slackwater.testing.clock import ManualClock
from slackwater.verification import Facts
from slackwater.watermarks.record import Watermark
from tests.integration.consuming import Fragile, handle
from tests.integration.database_in_memory import DatabaseInMemory
from tests.integration.service_bench import to_record
from tests.integration.test_choreography import (
    LIMITS,
    LONG_AFTER,
    STOCK,
    assert_nothing_dangles,
    euros,
)
from tests.unit.given_events import NOW
from tests.unit.service_in_memory import ServiceInMemory
from write_services.customers.service import service as customers_service
from write_services.inventory.service import service as inventory_service
from write_services.orders.service import service as orders_service

ALL = Chosen()
DECISION = Decision(by="law", why="to see what is missing then")
_ROUNDS_MAX = 50


class Reading:
    """One consumer at work, in a process that may begin anew."""

    def __init__(self, service: Service, fragile: Fragile) -> None:
        self.service = service
        self.fragile = fragile
        self.name = f"{service.definition.name}/{fragile.consumer.name}"
        self._kept = 0

    async def begin(self) -> None:
        self.consumer = SagaConsumer(
            self.service.definition,
            self.fragile.consumer,
            database=self.service.database,
            clock=ManualClock(),
            timelines=Timelines(self.service.world.newest_by_topic),
            committed=lambda: None,
        )
        places = [TopicPartition(topic, 0) for topic in self.consumer.topics]
        self.positions = dict(await self.consumer.assigned(places))

    async def handle_some(self, at: TopicPartition, count: int) -> bool:
        """Handle so many of the next records; tell whether there was one."""
        records = self.service.world.log[at.topic][self.positions[at] :][:count]
        if records:
            await handle(self.consumer, records)
            self.positions[at] += len(records)
        return bool(records)

    def ended(self, committed: bool) -> None:
        """Take what was handled for handled, or not."""
        if not committed:
            del self.fragile.handled[self._kept :]
        self._kept = len(self.fragile.handled)


class Service:
    """A service with its consumers, whose steps are fragile."""

    def __init__(self, world: World, service: ServiceDefinition) -> None:
        self.world = world
        self.database = DatabaseInMemory()
        self.database.ended = self._ended
        fragile = [Fragile(consumer) for consumer in service.consumers]
        self.definition = replace(service, consumers=tuple(each.consumer for each in fragile))
        service.metadata.create_all(self.database.connection)
        self.commands = ServiceInMemory(self.definition, self.database.connection)
        self.readings = [Reading(self, each) for each in fragile]
        self._published = 0

    def publish(self) -> None:
        """Append to the log what was committed; now and then something of it twice."""
        for recorded in self.commands.published()[self._published :]:
            self._published += 1
            log = self.world.log[recorded.event.topic]
            log.append(to_record(len(log), recorded, 0))
            if self.world.random.random() < 0.1:
                again = self.world.random.choice(log)
                log.append(replace(again, offset=len(log)))

    def _ended(self, committed: bool) -> None:
        for reading in self.readings:
            reading.ended(committed)


class World:
    """Three services, the log between them, and what is poison; drawn at random."""

    def __init__(self, random: Random, directory: str) -> None:
        self.random = random
        self.log: defaultdict[str, list[Record]] = defaultdict(list)
        self.customers = Service(self, customers_service)
        self.inventory = Service(self, inventory_service)
        self.orders = Service(self, orders_service)
        self.by_name = {
            each.definition.name: each for each in (self.customers, self.inventory, self.orders)
        }
        self.readings = [each for one in self.by_name.values() for each in one.readings]
        self.installation = self._installation(directory)

    async def begin(self) -> list[str]:
        """Add the products and customers; return the customers' ids, with one that is unknown."""
        for reading in self.readings:
            await reading.begin()
        for sku, stock in STOCK.items():
            self.inventory.commands.command(
                "add-product", sku=sku, name=sku, price=euros(100), stock=stock
            )
        answers = [
            self.customers.commands.command(
                "create-customer", name="Ada", email="a@example.com", credit_limit=euros(limit)
            )
            for limit in LIMITS
        ]
        await self.drain()
        return [*(answer.customer.id for answer in answers), "nobody"]

    def place(self, customer_id: str) -> str:
        lines = [
            {"sku": self.random.choice(list(STOCK)), "quantity": self.random.randint(1, 3)}
            for _ in range(self.random.randint(1, 3))
        ]
        answer = self.orders.commands.command("place-order", customer_id=customer_id, lines=lines)
        order_id: str = answer.order.id
        return order_id

    def interfere(self, order_id: str) -> None:
        """Cancel, ship, or let the deadline pass; most of it is refused at most times."""
        command = self.random.choice(["cancel-order", "ship-order", "deadline"])
        if command == "deadline":
            self.let_time_pass()
        else:
            self.orders.commands.command(command, order_id=order_id)

    def let_time_pass(self) -> None:
        self.orders.commands.work(LONG_AFTER + timedelta(minutes=1))
        self.orders.commands.now = NOW

    async def step(self) -> None:
        """Publish, and let some consumer go on: handle a few records, be replayed, begin anew."""
        self.publish()
        reading = self.random.choice(self.readings)
        match self.random.choices(["handle", "replay", "mend", "begin"], [12, 1, 1, 1])[0]:
            case "handle":
                at = self.random.choice(list(reading.positions))
                self.spoil(reading, at)
                await reading.handle_some(at, self.random.randint(1, 4))
            case "replay":
                await self.replay(Chosen(consumer=reading.name))
            case "mend":
                reading.fragile.poison.clear()
            case "begin":
                await reading.begin()

    def spoil(self, reading: Reading, at: TopicPartition, chance: float = 0.15) -> None:
        """Make an event that comes next poison, at times."""
        for record in self.log[at.topic][reading.positions[at] :][:4]:
            if self.random.random() < chance:
                reading.fragile.poison.add(record.headers["ce_id"])

    def publish(self) -> None:
        for service in self.by_name.values():
            service.publish()

    async def drain(self) -> None:
        """Let every consumer come to the end of the log."""
        moved = True
        while moved:
            self.publish()
            moved = False
            for reading in self.readings:
                for at in reading.positions:
                    moved |= await reading.handle_some(at, 5)

    async def replay(self, chosen: Chosen = ALL, decision: Decision | None = None) -> None:
        async for _ in replay_consumers(self.installation, chosen, apply=True, decision=decision):
            pass

    async def make_good(self, *, discarding: bool) -> None:
        """Spoil more and discard what may be, if so; then replay all, until nothing is parked."""
        if discarding:
            self.publish()
            for reading in self.readings:
                for at in reading.positions:
                    self.spoil(reading, at, chance=0.5)
            await self.drain()
            await self.replay(decision=DECISION)
        for reading in self.readings:
            reading.fragile.poison.clear()
        for _ in range(_ROUNDS_MAX):
            await self.replay()
            await self.drain()
            if not await self.parked():
                return
        raise AssertionError("something stays parked for ever")

    async def parked(self) -> int:
        return len([each async for each in parked_of_consumers(self.installation, ALL)])

    def violations(self) -> list[str]:
        return [each for one in self.by_name.values() for each in one.commands.violations()]

    def facts(self) -> Facts:
        return {
            name: list(each.definition.facts(each.database.connection))
            for name, each in self.by_name.items()
        }

    async def assert_order_kept(self) -> None:
        """Each consumer has handled the events of each key in the order of the log, once."""
        discarded = {
            (name, discard.record.headers["ce_id"])
            async for name, discard in discarded_of_consumers(self.installation, ALL)
        }
        for reading in self.readings:
            steps = Steps(reading.service.definition, reading.fragile.consumer, ManualClock())
            keys = {}
            for topic in steps.topics:
                for record in filter(steps.concern, self.log[topic]):
                    keys.setdefault(record.headers["ce_id"], (topic, record.key))
            handled = by_key(reading.fragile.handled, keys)
            expected = [id_ for id_ in keys if (reading.name, id_) not in discarded]
            assert handled == by_key(expected, keys), reading.name

    async def newest_by_topic(self) -> dict[str, Watermark]:
        """Say of every topic in which timeline it is, from its offset 0 on."""
        return {
            topic.name: Watermark(
                source="any", timeline="first", epoch=1, n=1, clock=NOW, offsets={}
            )
            for topic in orders_service.event_types.topics
        }

    async def close(self) -> None:
        for service in self.by_name.values():
            await service.database.close()

    def _installation(self, directory: str) -> Installation:
        installation = Installation(
            load_settings({"data_dir": Path(directory)}), cast("Manifest", _Manifest(self))
        )
        installation.doorbell = LocalDoorbell()
        for name, service in self.by_name.items():
            installation._databases[name] = service.database
        return installation


class _Manifest:
    def __init__(self, world: World) -> None:
        self._world = world
        self.services = tuple(world.by_name)

    def service(self, name: str) -> ServiceDefinition:
        return self._world.by_name[name].definition


def by_key(ids: list[str], keys: dict[str, Any]) -> dict[Any, list[str]]:
    found: defaultdict[Any, list[str]] = defaultdict(list)
    for id_ in ids:
        found[keys[id_]].append(id_)
    return dict(found)


async def _history(random: Random, order_count: int, directory: str) -> None:
    world = World(random, directory)
    try:
        customer_ids = await world.begin()
        order_ids: list[str] = []
        for _ in range(order_count):
            order_ids.append(world.place(random.choice(customer_ids)))
            for _ in range(random.randint(0, 12)):
                await world.step()
                assert world.violations() == []
            if random.random() < 0.5:
                world.interfere(random.choice(order_ids))
        await world.make_good(discarding=random.random() < 0.5)
        world.let_time_pass()
        await world.drain()
        assert world.violations() == []
        assert_nothing_dangles(_Commands(world))
        await world.assert_order_kept()
    finally:
        await world.close()


class _Commands:
    """What `assert_nothing_dangles` asks."""

    def __init__(self, world: World) -> None:
        self.facts = world.facts
        self.orders = world.orders.commands
        self.customers = world.customers.commands
        self.inventory = world.inventory.commands


# Shrinking would take minutes, and of random choices it makes little that is shorter.
@settings(max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(random=st.randoms(use_true_random=False), order_count=st.integers(1, 6))
def test_a_store_in_which_all_was_replayed_has_nothing_dangling(
    random: Random, order_count: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_history(random, order_count, directory))
