"""One write service on a database of its own, driven as its part drives it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any, NamedTuple, cast

import httpx2
import msgspec
from sqlalchemy import Connection, select

from slackwater.consumer.timelines import Timelines
from slackwater.database.history import read_history
from slackwater.database.port import Database
from slackwater.event_log.port import EventLog, Record, TopicPartition
from slackwater.events.cloudevents import TIMELINE_HEADER, to_headers
from slackwater.events.event import Cause, Recorded
from slackwater.outbox.row import to_event
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.service.app import ServiceApp
from slackwater.service.commands import execute
from slackwater.service.definition import Consumer, Fact, ServiceDefinition
from slackwater.service.migrations import migrate
from slackwater.service.read_after import ConsumedSources
from slackwater.service.saga_consumer import SagaConsumer
from slackwater.service.settled_ticks import SettledTicks
from slackwater.testing.clock import ManualClock
from slackwater.watermarks.record import Watermark

OpenDatabase = Callable[[str], Database]


class Answered(NamedTuple):
    """What a command was answered, as its client reads it."""

    status: int
    body: Any


@asynccontextmanager
async def running(
    service: ServiceDefinition, open_database: OpenDatabase
) -> AsyncIterator[ServiceBench]:
    database = open_database(service.name)
    try:
        await database.transact(lambda connection: migrate(connection, service.migrations))
        yield ServiceBench(service, database)
    finally:
        await database.close()


class ServiceBench:
    """Commands, saga steps, periodic work and queries of one service, with a clock to turn."""

    def __init__(self, service: ServiceDefinition, database: Database) -> None:
        self.service = service
        self.database = database
        self.clock = ManualClock()
        self.timeline = "first"  # that of all whom it listens to

    async def command(
        self, command_name: str, *, key: str | None = None, **fields: Any
    ) -> Answered:
        [command] = [each for each in self.service.commands if each.name == command_name]
        body = msgspec.convert(fields, command.body)
        answer = await self.database.transact(
            lambda connection: execute(
                self._unit(connection), self.service.tables, command, body, key
            )
        )
        return Answered(answer.status, json.loads(answer.content))

    async def post(
        self,
        command_name: str,
        body: dict[str, Any],
        *,
        headers: dict[str, str] | None = None,
        database: Database | None = None,
    ) -> httpx2.Response:
        """Send a command to the service over HTTP, with its own database or another before it."""
        app = self.app(database or self.database)
        transport = httpx2.ASGITransport(app.asgi)
        url = f"http://{self.service.name}"
        async with httpx2.AsyncClient(transport=transport, base_url=url) as client:
            return await client.post(f"/commands/{command_name}", json=body, headers=headers)

    def app(self, database: Database) -> ServiceApp:
        """Return the service as it is served, on a database."""
        return ServiceApp(
            self.service,
            database=database,
            clock=self.clock,
            ticks=SettledTicks(
                self.service.name,
                tables=self.service.tables,
                database=database,
                settle=self._history,
            ),
            consumed=ConsumedSources([], database=self.database, log=cast("EventLog", None)),
            committed=lambda: None,
            wake_relay=lambda: None,
            problems=list,
        )

    async def hear(self, *events: Recorded[Any], partition: int = 0) -> None:
        """Deliver events to every consumer, each in its own batch."""
        for consumer in self.service.consumers:
            await self._deliver(consumer, events, partition)

    async def work(self, *, after_ms: float) -> None:
        """Let time pass, then do all periodic work once."""
        self.clock.advance(ms=after_ms)
        for periodic in self.service.periodic:
            await self.database.transact(
                lambda connection, work=periodic.work: self._unit(connection).run(work)  # type: ignore[misc]
            )

    async def query(self, name: str, **parameters: str) -> Any:
        """Return a query's answer as its client reads it."""
        [query] = [each for each in self.service.queries if each.name == name]
        answer = await self.database.read(lambda connection: query.answer(connection, parameters))
        return json.loads(json.dumps(answer))

    async def published(self) -> list[Recorded[Any]]:
        return await self.database.read(self._read_events)

    async def versions(self) -> dict[str, list[int]]:
        """Return the versions of every aggregate, in the order of publishing."""
        events = [recorded.event for recorded in await self.published()]
        events.sort(key=lambda event: event.aggregate_id)
        by_aggregate = groupby(events, key=lambda event: event.aggregate_id)
        return {id_: [event.version for event in group] for id_, group in by_aggregate}

    async def facts(self, kind: str) -> list[Fact]:
        return await self.database.read(
            lambda connection: [
                fact for fact in self.service.facts(connection) if fact.kind == kind
            ]
        )

    async def violations(self) -> list[str]:
        return await self.database.read(self.service.invariants)

    async def _deliver(
        self, consumer: Consumer, events: tuple[Recorded[Any], ...], partition: int
    ) -> None:
        steps = self.saga_consumer(consumer)
        places = {TopicPartition(recorded.event.topic, partition) for recorded in events}
        following = dict(await steps.assigned(places))
        records = []
        for recorded in events:
            at = TopicPartition(recorded.event.topic, partition)
            records.append(to_record(following[at], recorded, partition, self.timeline))
            following[at] += 1
        await steps.handle(records)

    async def _history(self) -> str:
        """There is no log that it could be compared with."""
        return await self.database.read(read_history)

    def saga_consumer(self, consumer: Consumer) -> SagaConsumer:
        """Return what hands records to the consumer, as its part does."""
        return SagaConsumer(
            self.service,
            consumer,
            database=self.database,
            clock=self.clock,
            timelines=Timelines(self.newest_by_topic),
            committed=lambda: None,
        )

    async def newest_by_topic(self) -> dict[str, Watermark]:
        """Say of every topic in which timeline it is, from its offset 0 on."""
        now = self.clock.now()
        return {
            topic.name: Watermark(
                source="others", timeline=self.timeline, epoch=1, n=1, clock=now, offsets={}
            )
            for topic in self.service.event_types.topics
        }

    def _read_events(self, connection: Connection) -> list[Recorded[Any]]:
        table = self.service.tables.events
        rows = connection.execute(select(table).order_by(table.c.position))
        types = self.service.event_types
        return [types.decode(to_event(row, self.service.name)) for row in rows]

    def _unit(self, connection: Connection) -> UnitOfWork:
        cause = Cause.start(actor="tester")
        return self.service.unit_of_work(connection, cause=cause, now=self.clock.now())


def to_record(
    offset: int, recorded: Recorded[Any], partition: int, timeline: str = "first"
) -> Record:
    event = recorded.event
    at = TopicPartition(event.topic, partition)
    return Record(
        topic=at.topic,
        partition=at.partition,
        offset=offset,
        key=event.partition_key,
        value=event.data,
        headers={**to_headers(event), TIMELINE_HEADER: timeline},
    )
