"""What is measured: a source of events with a schema, a topic and a relay process of its own."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection, MetaData

from benchmarks.traces import PREFIX, delete_topics, hold, left_behind, remove
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.postgresql_connection import RawConnection
from slackwater.database.postgresql_doorbell import PostgresqlDoorbell
from slackwater.event_log.kafka import KafkaEventLog
from slackwater.event_log.kafka_driver import KafkaCluster
from slackwater.event_log.port import Topic
from slackwater.events.event import Cause, EventBody
from slackwater.events.types import EventTypes
from slackwater.outbox.relay import outbox_bell
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.watermarks.record import WATERMARKS

_PAYLOAD_BYTES = 300
_PARTITIONS = 6
_EVENTS_A_TRANSACTION = 100
_AGGREGATES = 1_000

Place = tuple[str, int]
"""Aggregate and version: what tells events apart, in the database and in the log."""


class Contender:
    """One way of publishing; a subclass says what relays, and what must be there for it.

    A way that infers its events from something else than rows of the table of events also says
    by `write` how a transaction of `count` events looks.
    """

    def __init__(self, name: str, run: str, url: str, kafka: str) -> None:
        self.name = name
        self.run = run
        self.url = url
        self.kafka = kafka
        self.source = f"{PREFIX}{name.lower()}_{run}"
        self.topic = Topic(name=_topic_name(self.source), partitions=_PARTITIONS)
        self.metadata = MetaData()
        self.tables = KernelTables(self.metadata, events="outbox")
        self.types = EventTypes()

        @self.types.register("bench.happened", aggregate_type="thing", topic=self.topic)
        class Happened(EventBody, frozen=True, kw_only=True):
            filler: str

        self.event_body: Callable[..., EventBody] = Happened
        self.filler = "x" * (_PAYLOAD_BYTES - len('{"filler":""}'))
        self.database = PostgresqlDatabase(url, schema=self.source)
        self.doorbell = PostgresqlDoorbell(url)
        self.log = KafkaEventLog(KafkaCluster(bootstrap_servers=kafka))
        self.written = 0
        self._held: RawConnection | None = None

    def relay_command(self) -> Sequence[str]:
        """Return the command of the process that relays; it ends when it is told to (SIGTERM)."""
        raise NotImplementedError

    async def prepare(self) -> None:
        """Make tables and topics, and remove those of runs that were killed."""
        self._held = await asyncio.to_thread(hold, self.url, self.source)
        await self._remove_left_behind()
        await self.database.transact(self.metadata.create_all)
        await self.log.create_topics([self.topic, WATERMARKS])

    def write(self, connection: Connection, count: int, start: int) -> None:
        """Have the events from number `start` on happen, in a transaction."""
        unit = self.unit_of_work(connection)
        body = self.event_body(filler=self.filler)
        for aggregate, version in places(count, start):
            unit.add(body, aggregate_id=aggregate, version=version, partition_key=aggregate)

    def unit_of_work(self, connection: Connection) -> UnitOfWork:
        """Return what `write` adds events to."""
        return UnitOfWork(
            connection,
            source=self.source,
            tables=self.tables,
            event_types=self.types,
            cause=Cause.start(),
            now=datetime.now(UTC),
        )

    async def write_backlog(self, events: int, *, within_s: float = math.inf) -> int:
        """Commit so many events, a hundred at once, or what the time allows; return how many."""
        before, began_s = self.written, time.monotonic()
        while self.written < before + events and time.monotonic() < began_s + within_s:
            await self._write(_EVENTS_A_TRANSACTION)
        self.ring()
        return self.written - before

    async def write_at_rate(self, rate: int, seconds: float) -> dict[Place, float]:
        """Commit event by event, `rate` a second; return when the commit of each had returned."""
        committed_s: dict[Place, float] = {}
        began_s = time.monotonic()
        for number in range(round(seconds * rate)):
            await asyncio.sleep(max(0.0, began_s + number / rate - time.monotonic()))
            (at,) = places(1, self.written)
            await self._write(1)
            committed_s[at] = time.monotonic()
            self.ring()
        return committed_s

    def ring(self) -> None:
        self.doorbell.ring(outbox_bell(self.source))

    async def close(self) -> None:
        """Remove all that was made in database and log; the relay has ended."""
        try:
            await self.database.outside(partial(remove, name=self.source))
            await delete_topics(self.kafka, [self.topic.name])
        finally:
            if self._held is not None:
                self._held.close()
            await self.log.close()
            self.doorbell.close()
            await self.database.close()

    async def _write(self, count: int) -> None:
        await self.database.transact(partial(self.write, count=count, start=self.written))
        self.written += count

    async def _remove_left_behind(self) -> None:
        names = await self.database.outside(left_behind)
        for name in names:
            await self.database.outside(partial(remove, name=name))
        if names:
            await delete_topics(self.kafka, [_topic_name(name) for name in names])


def _topic_name(source: str) -> str:
    return f"{source}.events"


def places(count: int, start: int) -> list[Place]:
    """Return aggregate and version of each event from number `start` on."""
    numbers = range(start, start + count)
    return [(str(each % _AGGREGATES), each // _AGGREGATES + 1) for each in numbers]
