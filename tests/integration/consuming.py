"""One consumer of a service that is handed records by hand, and what it has parked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from slackwater.consumer.timelines import Timelines
from slackwater.errors import ConflictError
from slackwater.event_log.port import Record, TopicPartition
from slackwater.events.event import Recorded
from slackwater.installation import Installation
from slackwater.manifest import Manifest as RealManifest
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.parts.consumer_dead_letters import parked_of_consumers
from slackwater.parts.consumer_replay import replay_consumers
from slackwater.parts.dead_letters import Chosen, Parked
from slackwater.parts.replay import Decision, Replayed
from slackwater.read_models.parking import LETTERS_MAX
from slackwater.service.definition import Consumer, ServiceDefinition
from slackwater.service.saga_consumer import SagaConsumer
from slackwater.settings import load_settings
from slackwater.testing.doorbell import LocalDoorbell
from tests.integration.service_bench import ServiceBench, to_record

ALL = Chosen()


class Fragile:
    """A consumer whose steps fail for events that are poison, and that says what it has handled.

    What it says stands there, too, when the transaction comes to nothing.
    """

    def __init__(self, consumer: Consumer) -> None:
        self.poison: set[str] = set()
        self.handled: list[str] = []
        self.consumer = Consumer(consumer.name)
        self.consumer.lock_first = consumer.lock_first
        self.consumer.may_be_discarded = consumer.may_be_discarded
        for body, step in consumer.steps.items():
            self.consumer.on(body)(self._fragile(step))

    def _fragile(self, step: Any) -> Any:
        def fragile(unit: UnitOfWork, recorded: Recorded[Any]) -> None:
            step(unit, recorded)
            if recorded.event.id in self.poison:
                raise ZeroDivisionError
            self.handled.append(recorded.event.id)

        return fragile


class Manifest:
    """Knows one service."""

    def __init__(self, service: ServiceDefinition) -> None:
        self._service = service
        self.services = (service.name,)

    def service(self, _: str) -> ServiceDefinition:
        return self._service


class Consuming:
    """The first consumer of a service, made fragile."""

    def __init__(
        self, bench: ServiceBench, directory: Path, letters_max: int = LETTERS_MAX
    ) -> None:
        self.bench = bench
        self.fragile = Fragile(bench.service.consumers[0])
        self.service = replace(bench.service, consumers=(self.fragile.consumer,))
        manifest = cast("RealManifest", Manifest(self.service))
        self.installation = Installation(load_settings({"data_dir": directory}), manifest)
        self.installation.clock = bench.clock
        self.installation.doorbell = LocalDoorbell()
        self.installation._databases[self.service.name] = bench.database
        self.letters_max = letters_max

    async def begin(self, *at: TopicPartition) -> SagaConsumer:
        """Return a process of the consumer to which the partitions were assigned."""
        consumer = SagaConsumer(
            self.service,
            self.fragile.consumer,
            database=self.bench.database,
            clock=self.bench.clock,
            timelines=Timelines(self.bench.newest_by_topic),
            committed=lambda: None,
            letters_max=self.letters_max,
        )
        await consumer.assigned(at)
        return consumer

    async def parked(self) -> list[Parked]:
        return [each async for each in parked_of_consumers(self.installation, ALL)]

    async def replay(
        self, chosen: Chosen = ALL, *, apply: bool = True, decision: Decision | None = None
    ) -> list[Replayed]:
        replaying = replay_consumers(self.installation, chosen, apply=apply, decision=decision)
        return [each async for each in replaying]


async def handle(consumer: SagaConsumer, records: Sequence[Record]) -> None:
    """Hand over records, once more where something has changed meanwhile, as the runner does."""
    try:
        await consumer.handle(records)
    except ConflictError:
        await consumer.handle(records)


def records(*events: Recorded[Any], first: int = 0) -> list[Record]:
    """Return the records of events in partition 0, in their order."""
    return [to_record(first + n, event, 0) for n, event in enumerate(events)]
