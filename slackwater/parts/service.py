"""A write service as a part: its application, its saga steps, and its periodic work."""

from __future__ import annotations

import asyncio

from slackwater.backoff import backoff
from slackwater.consumer.runner import ConsumerRunner
from slackwater.consumer.timelines import Timelines
from slackwater.database.one_server import OneServer
from slackwater.database.port import Database
from slackwater.errors import FencedError, TransientError
from slackwater.event_store.schemas import EventSchemas
from slackwater.event_store.tables import EventStoreTables
from slackwater.events.event import Cause
from slackwater.http.server import serve
from slackwater.ids import new_id
from slackwater.installation import Installation
from slackwater.logs import logger
from slackwater.outbox.lineage import Lineage
from slackwater.outbox.relay import outbox_bell
from slackwater.outbox.ticks import begin_ticks
from slackwater.parts.publishing import prepare_publishing
from slackwater.service.answers import OldAnswers
from slackwater.service.app import ServiceApp
from slackwater.service.definition import Periodic, ServiceDefinition
from slackwater.service.migrations import migrate
from slackwater.service.read_after import ConsumedSources
from slackwater.service.saga_consumer import SagaConsumer
from slackwater.service.settled_ticks import SettledTicks
from slackwater.watermarks.newest import newest_by_topic
from slackwater.watermarks.record import WATERMARKS

_RING_INTERVAL_S = 0.05
_BACKOFF_FIRST_S = 0.05
_BACKOFF_MAX_S = 1.0
_log = logger("service")


async def run_service(installation: Installation, name: str) -> None:
    """Run a write service until cancelled."""
    service = installation.service(name)
    await prepare_service(installation, service)
    await prepare_publishing(installation, service)
    await ServicePart(installation, service).run()


async def prepare_service(installation: Installation, service: ServiceDefinition) -> None:
    """Migrate the service's database and create every topic of its language.

    Those that it only listens to, too: then the order in which parts start does not matter.

    Raises:
        UnknownSchemaError: its event store holds what this release cannot read.
    """
    database = installation.database(service.name)
    await database.transact(lambda connection: migrate(connection, service.migrations))
    await database.transact(lambda connection: begin_ticks(connection, service.tables.tick))
    if isinstance(service.tables, EventStoreTables):
        schemas = EventSchemas(service.tables, service.event_types, service.topics)
        await database.transact(schemas.require_known)
    await installation.event_log.create_topics([*service.event_types.topics, WATERMARKS])


async def _settle(installation: Installation, service: ServiceDefinition) -> str:
    """Make sure that source and log hold the same history before anybody is told a tick.

    Returns the history that was compared.
    """
    for delay_s in backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S):
        server = OneServer(installation.database(service.name))
        lineage = Lineage(
            service.name,
            topics=service.topics,
            tables=service.tables,
            session=server,
            log=installation.event_log,
            clock=installation.clock,
        )
        try:
            await lineage.settle()
            return await server.history()
        except FencedError as error:
            _log.info("a relay was faster", source=service.name, reason=str(error))
            await asyncio.sleep(delay_s)
    raise AssertionError("the backoff never ends")


class ServicePart:
    """Everything of one service that runs at the same time."""

    def __init__(self, installation: Installation, service: ServiceDefinition) -> None:
        self._installation = installation
        self._service = service
        self._rang_s = float("-inf")
        self._database: Database = installation.database(service.name)
        self._consumers = [
            SagaConsumer(
                service,
                consumer,
                database=self._database,
                clock=installation.clock,
                timelines=Timelines(lambda: newest_by_topic(installation.event_log)),
                committed=self._committed,
            )
            for consumer in service.consumers
        ]
        self._ticks = SettledTicks(
            service.name,
            tables=service.tables,
            database=self._database,
            settle=lambda: _settle(installation, service),
        )
        self._consumed = ConsumedSources(
            self._consumers, database=self._database, log=installation.event_log
        )

    async def run(self) -> None:
        await self._ticks.begin()
        app = ServiceApp(
            self._service,
            database=self._database,
            clock=self._installation.clock,
            ticks=self._ticks,
            consumed=self._consumed,
            committed=self._committed,
            wake_relay=self._wake_relay,
            problems=self._problems,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._consumed.follow())
            for consumer in self._consumers:
                tasks.create_task(self._consume(consumer))
            tasks.create_task(self._old_answers().keep_removing())
            for periodic in self._service.periodic:
                tasks.create_task(self._repeat(periodic))
            port = self._installation.service_port(self._service.name)
            tasks.create_task(serve(app.asgi, self._installation.settings.host, port))

    async def _consume(self, consumer: SagaConsumer) -> None:
        await ConsumerRunner(
            f"{self._service.name}.{consumer.name}",
            topics=consumer.topics,
            log=self._installation.event_log,
            handler=consumer,
        ).run()

    def _old_answers(self) -> OldAnswers:
        return OldAnswers(
            self._service.tables.idempotency,
            session=self._database,
            clock=self._installation.clock,
            retention_s=self._installation.settings.idempotency_retention_s,
        )

    async def _repeat(self, periodic: Periodic) -> None:
        while True:
            try:
                await self._run_when_due(periodic)
            except TransientError as error:
                _log.warning("periodic work failed", name=periodic.name, reason=str(error))
            await asyncio.sleep(periodic.interval_ms / 1000)

    async def _run_when_due(self, periodic: Periodic) -> None:
        now = self._installation.clock.now()
        if not await self._database.read(lambda connection: periodic.due(connection, now)):
            return
        cause = Cause.start(
            actor=f"{self._service.name}.{periodic.name}",
            causation_id=f"{periodic.name}/{new_id()}",
        )
        await self._database.transact(
            lambda connection: self._service.unit_of_work(connection, cause=cause, now=now).run(
                periodic.work
            )
        )
        self._committed()

    def _wake_relay(self) -> None:
        """Ring on behalf of somebody who asked for the tick; many who ask share one ring."""
        now_s = self._installation.clock.monotonic()
        if now_s - self._rang_s >= _RING_INTERVAL_S:
            self._rang_s = now_s
            self._installation.doorbell.ring(outbox_bell(self._service.name))

    def _committed(self) -> None:
        self._installation.doorbell.ring(outbox_bell(self._service.name))
        self._consumed.on_progress()

    def _problems(self) -> list[str]:
        return [
            f"saga step {consumer.name} is halted: {consumer.halt_reason}"
            for consumer in self._consumers
            if consumer.halt_reason is not None
        ]
