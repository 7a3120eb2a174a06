"""Saga steps on the consumer runner: inbox, effect and progress in one local transaction.

A source that was restored, or whose log was lost, publishes its whole history again. What has been
handled of it is in the inbox, so a consumer begins again where the new timeline begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import OperationalError

from slackwater.clock import Clock
from slackwater.consumer.batch_size import BatchSize
from slackwater.consumer.timelines import PartedError, Timelines
from slackwater.database.port import Database
from slackwater.database.repetition import ContendedError
from slackwater.errors import FencedError, PoisonousEventError, SlackwaterError
from slackwater.event_log.port import Record, TopicPartition
from slackwater.events.cloudevents import from_headers
from slackwater.events.event import Recorded
from slackwater.logs import bound, logger
from slackwater.outbox.inbox import handled_before, record_handled
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.read_models.progress import Place
from slackwater.service.definition import Consumer, ServiceDefinition, Step

_BATCH_MAX = 500

_log = logger("saga")


class SagaConsumer:
    """Implements `BatchHandler` for one consumer of a service."""

    def __init__(
        self,
        service: ServiceDefinition,
        consumer: Consumer,
        *,
        database: Database,
        clock: Clock,
        timelines: Timelines,
        committed: Callable[[], None],
    ) -> None:
        self._service = service
        self._consumer = consumer
        self._database = database
        self._clock = clock
        self._timelines = timelines
        self._committed = committed
        self._fences: dict[TopicPartition, int] = {}
        self._handled: dict[TopicPartition, int] = {}
        self._batch_size = BatchSize(_BATCH_MAX)
        self._steps = {
            service.event_types.of_body(body).name: step for body, step in consumer.steps.items()
        }
        self.halt_reason: str | None = None

    @property
    def name(self) -> str:
        return self._consumer.name

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that carry what this consumer reacts to."""
        types = self._service.event_types
        return tuple(sorted({types.of_body(body).topic.name for body in self._consumer.steps}))

    async def assigned(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        claimed = await self._database.transact(
            lambda connection: {at: self._claim(connection, at) for at in partitions}
        )
        self._fences = {at: fence for at, (fence, _) in claimed.items()}
        places = {at: place for at, (_, place) in claimed.items()}
        self._handled = {at: place.position for at, place in places.items()}
        begun = await self._timelines.begun(self._handled, _timelines(places))
        beginnings = {at: followed.beginning for at, followed in begun.items()}
        if beginnings:
            await self._database.transact(lambda connection: self._save(connection, beginnings))
            self._handled |= beginnings
        return self._handled.copy()

    async def handle(self, records: Sequence[Record]) -> None:
        """Handle records in transactions that are short enough to win against commands.

        What an earlier, failed call had already made durable is left out.
        """
        left = [record for record in records if not self._is_handled(record)]
        try:
            admitted = {_place(record) for record in await self._timelines.admit(left)}
        except PartedError as error:
            raise FencedError(str(error)) from error  # assigned anew, it begins again
        while left:
            batch = left[: int(self._batch_size)]
            began_s = time.monotonic()
            try:
                await self._handle_at_once(batch, admitted)
            except ContendedError:
                if len(batch) == 1:
                    raise
                self._batch_size.lost(len(batch))
                continue
            self._batch_size.took(len(batch), time.monotonic() - began_s)
            left = left[len(batch) :]

    async def _handle_at_once(
        self, records: Sequence[Record], admitted: Collection[tuple[TopicPartition, int]]
    ) -> None:
        positions = {record.topic_partition: record.offset + 1 for record in records}
        events = [
            recorded
            for record in records
            if _place(record) in admitted and (recorded := self._decoded(record))
        ]

        def work(connection: Connection) -> None:
            if events and self._consumer.lock_first is not None:
                self._consumer.lock_first(connection, events)
            for recorded in self._first_deliveries(connection, events):
                self._handle_one(connection, recorded)
            self._save(connection, positions)

        await self._database.transact(work)
        self._handled |= positions
        self._committed()

    def _is_handled(self, record: Record) -> bool:
        return record.offset < self._handled.get(record.topic_partition, 0)

    async def halted(self, reason: str) -> None:
        self.halt_reason = reason

    def _decoded(self, record: Record) -> Recorded[Any] | None:
        """Read an event that a step reacts to; None for any other."""
        event = from_headers(record.topic, record.headers, record.value)
        return self._service.event_types.decode(event) if event.type in self._steps else None

    def _first_deliveries(
        self, connection: Connection, events: Sequence[Recorded[Any]]
    ) -> list[Recorded[Any]]:
        """Record all events as handled; return each that had not been, once."""
        by_id = {each.event.id: each for each in events}
        tables, consumer = self._service.tables, self._consumer.name
        for event_id in handled_before(connection, tables, consumer, by_id):
            del by_id[event_id]
        record_handled(connection, tables, consumer, by_id)
        return list(by_id.values())

    def _handle_one(self, connection: Connection, recorded: Recorded[Any]) -> None:
        event = recorded.event
        unit = self._service.unit_of_work(connection, cause=event.caused(), now=self._clock.now())
        with bound(unit.cause):
            _run_step(unit, self._steps[event.type], recorded)

    def places(self, connection: Connection) -> dict[TopicPartition, Place]:
        """Return how far this consumer has come, in whichever process its instances are."""
        table = self._service.tables.consumer_progress
        rows = connection.execute(select(table).where(table.c.consumer == self._consumer.name))
        return {TopicPartition(row.topic, row.partition): _stored_place(row) for row in rows}

    def _claim(self, connection: Connection, at: TopicPartition) -> tuple[int, Place]:
        """Raise the partition's fence; return it with the place."""
        table = self._service.tables.consumer_progress
        own = self._own_row(at)
        claimed = connection.execute(update(table).where(*own).values(fence=table.c.fence + 1))
        if not claimed.rowcount:
            connection.execute(
                insert(table).values(
                    consumer=self._consumer.name,
                    topic=at.topic,
                    partition=at.partition,
                    position=0,
                    timeline="",
                    fence=1,
                )
            )
        row = connection.execute(select(table).where(*own)).one()
        return row.fence, _stored_place(row)

    def _save(self, connection: Connection, positions: Mapping[TopicPartition, int]) -> None:
        timelines = self._timelines.of(positions)
        for at, position in positions.items():
            place = {
                "of_consumer": self._consumer.name,
                "of_topic": at.topic,
                "of_partition": at.partition,
                "of_fence": self._fences[at],
                "position": position,
                "timeline": timelines[at],
            }
            saved = connection.execute(self._service.tables.update_consumer_progress, place)
            if not saved.rowcount:
                raise FencedError(f"{self._consumer.name} no longer owns {at}; it rejoins")

    def _own_row(self, at: TopicPartition) -> tuple[Any, ...]:
        table = self._service.tables.consumer_progress
        return (
            table.c.consumer == self._consumer.name,
            table.c.topic == at.topic,
            table.c.partition == at.partition,
        )


def _stored_place(row: Row[Any]) -> Place:
    return Place(row.position, row.timeline or None)


def _timelines(places: Mapping[TopicPartition, Place]) -> dict[TopicPartition, str]:
    return {at: place.timeline for at, place in places.items() if place.timeline is not None}


def _place(record: Record) -> tuple[TopicPartition, int]:
    return record.topic_partition, record.offset


def _run_step(unit: UnitOfWork, step: Step, recorded: Recorded[Any]) -> None:
    try:
        unit.run(lambda unit: step(unit, recorded))
    except (SlackwaterError, OperationalError):
        raise
    except Exception as error:  # what a step itself raises, it will raise again
        raise PoisonousEventError(
            f"event {recorded.event.id} of type {recorded.event.type} cannot be handled: "
            f"{error!r}; mend the step and start again"
        ) from error
