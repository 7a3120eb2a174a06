"""Saga steps on the consumer runner: inbox, effect and progress in one local transaction.

    batch ─► steps ─► commit, with the progress ─► next batch
               └─ poison ─► each half by itself ─► … ─► the one event, parked with the progress

A poisonous event is parked with its key: what comes later of the key is parked behind it, in the
same transaction as the progress that passes it, and every other key goes on. So the events of a key
are handled in the order of the log, whenever that is. Only an event without a key halts a consumer:
nobody knows what must wait behind it.

A source that was restored, or whose log was lost, publishes its whole history again. What has been
handled of it is in the inbox, so a consumer begins again where the new timeline begins; what was
parked comes again with the rest, or is no more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from slackwater import metrics
from slackwater.clock import Clock
from slackwater.consumer.batch_size import BatchSize
from slackwater.consumer.timelines import PartedError, Timelines
from slackwater.database.port import ContendedError, Database, UnstorableTextError
from slackwater.errors import (
    FencedError,
    PoisonousEventError,
    SlackwaterError,
    TransientError,
)
from slackwater.event_log.port import Record, TopicPartition
from slackwater.logs import logger
from slackwater.read_models.dead_letters import DeadLetter
from slackwater.read_models.parking import LETTERS_MAX, Parking
from slackwater.read_models.progress import Place
from slackwater.service.dead_letters import DeadLetters
from slackwater.service.definition import Consumer, ServiceDefinition
from slackwater.service.steps import Steps

_BATCH_MAX = 500
_LOOK_INTERVAL_S = 1.0

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
        letters_max: int = LETTERS_MAX,
    ) -> None:
        """`letters_max` bounds how many events of each partition are parked."""
        self._service = service
        self._consumer = consumer
        self._database = database
        self._clock = clock
        self._timelines = timelines
        self._committed = committed
        self._letters_max = letters_max
        self._steps = Steps(service, consumer, clock)
        self._dead_letters = DeadLetters(service.tables, consumer.name)
        self._fences: dict[TopicPartition, int] = {}
        self._handled: dict[TopicPartition, int] = {}
        self._looked_s: float | None = None
        self._parking: Parking | None = None
        self._batch_size = BatchSize(_BATCH_MAX)
        self.halt_reason: str | None = None

    @property
    def name(self) -> str:
        return self._consumer.name

    @property
    def full_name(self) -> str:
        """The name among those of all services, by which what is parked is replayed."""
        return f"{self._service.name}/{self._consumer.name}"

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that carry what this consumer reacts to."""
        return self._steps.topics

    async def assigned(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        claimed = await self._database.transact(
            lambda connection: {at: self._claim(connection, at) for at in partitions}
        )
        self._parking = None
        self._fences = {at: fence for at, (fence, _) in claimed.items()}
        places = {at: place for at, (_, place) in claimed.items()}
        self._handled = {at: place.position for at, place in places.items()}
        self._looked_s = self._clock.monotonic()
        begun = await self._timelines.begun(self._handled, _timelines(places))
        beginnings = {at: followed.beginning for at, followed in begun.items()}
        if beginnings:
            await self._database.transact(lambda connection: self._begin(connection, beginnings))
            self._handled |= beginnings
        return self._handled.copy()

    async def handle(self, records: Sequence[Record]) -> None:
        """Handle records in transactions that are short enough to win against commands.

        What an earlier, failed call had already made durable is left out.
        """
        if self._must_look():
            await self._look_again()
        left = self._left_of(records)
        try:
            admitted = {_place(record) for record in await self._timelines.admit(left)}
        except PartedError as error:
            raise FencedError(str(error)) from error  # assigned anew, it begins again
        while left:
            batch = left[: int(self._batch_size)]
            try:
                await self._handle_or_park(batch, admitted)
            except ContendedError:
                if len(batch) == 1:
                    raise
                self._batch_size.lost(len(batch))
            except TransientError:
                # It may be done all the same, and a hole closed meanwhile.
                self._parking, self._looked_s = None, None
                raise
            left = self._left_of(left)

    async def idle(self) -> None:
        if self._handled and self._must_look():
            await self._look_again()

    def _must_look(self) -> bool:
        now_s = self._clock.monotonic()
        return self._looked_s is None or now_s - self._looked_s > _LOOK_INTERVAL_S

    async def _look_again(self) -> None:
        """Learn how far we have come in all partitions, also with a commit of unknown outcome.

        Raises:
            FencedError: the database is further back than what it has acknowledged.
        """
        places = await self._database.read(self._stored_places)
        followed = self._timelines.of(self._handled)
        for at, handled in self._handled.items():
            if not _is_at_least(places.get(at), handled, followed.get(at)):
                raise FencedError(f"{self._consumer.name} was put back in {at}; it rejoins")
        self._handled = {at: places[at].position for at in self._handled}
        self._looked_s = self._clock.monotonic()

    async def _handle_or_park(
        self, records: Sequence[Record], admitted: Collection[tuple[TopicPartition, int]]
    ) -> None:
        """Handle records at once; where one is poisonous, each half by itself."""
        began_s = time.monotonic()
        try:
            await self._handle_at_once(records, admitted)
        except (PoisonousEventError, UnstorableTextError) as error:
            if len(records) == 1:
                await self._park(records[0], error)
                return
        else:
            self._batch_size.took(len(records), time.monotonic() - began_s)
            return
        half = len(records) // 2
        await self._handle_or_park(records[:half], admitted)
        await self._handle_or_park(records[half:], admitted)

    async def _handle_at_once(
        self, records: Sequence[Record], admitted: Collection[tuple[TopicPartition, int]]
    ) -> None:
        parking = await self._loaded_parking()
        free, behind = parking.split([record for record in records if _place(record) in admitted])
        events = [each for record in free if (each := self._steps.decoded(record)) is not None]
        letters = [letter for letter in behind if self._steps.concern(letter.record)]
        await self._commit(
            records, letters, lambda connection: self._steps.take(connection, events)
        )

    async def _park(self, record: Record, error: SlackwaterError) -> None:
        if not record.key:
            raise error
        letter = (await self._loaded_parking()).letter(record, error)
        await self._commit([record], [letter])
        metrics.CONSUMER_POISON.labels(self.full_name, letter.error).inc()
        _log.error("event parked", consumer=self.full_name, key=record.key, reason=str(error))

    async def _commit(
        self,
        records: Sequence[Record],
        letters: Sequence[DeadLetter],
        take: Callable[[Connection], object] = lambda _: None,
    ) -> None:
        """Commit effects and letters with the progress that passes records."""
        positions = {record.topic_partition: record.offset + 1 for record in records}
        parking = await self._parking_with_room(letters)

        def work(connection: Connection) -> None:
            # Holes before anything that a step locks, as a replay does: nobody waits in a circle.
            self._dead_letters.park(connection, letters)
            take(connection)
            self._save(connection, positions)

        await self._database.transact(work)
        parking.take(letters)
        self._handled |= positions
        self._committed()

    async def _parking_with_room(self, letters: Sequence[DeadLetter]) -> Parking:
        parking = await self._loaded_parking()
        if not parking.has_room(letters):
            self._parking = None  # somebody may have closed a hole
            parking = await self._loaded_parking()
            parking.check_room(letters)
        return parking

    async def _loaded_parking(self) -> Parking:
        if self._parking is None:
            self._parking = await self._database.read(self._load_parking)
        return self._parking

    def _load_parking(self, connection: Connection) -> Parking:
        parking = Parking(self.full_name, self._clock, letters_max=self._letters_max)
        for at in self._fences:
            for hole in self._dead_letters.holes_in(connection, at):
                parking.know(hole)
        return parking

    def _left_of(self, records: Sequence[Record]) -> list[Record]:
        return [record for record in records if not self._is_handled(record)]

    def _is_handled(self, record: Record) -> bool:
        return record.offset < self._handled.get(record.topic_partition, 0)

    async def halted(self, reason: str) -> None:
        self.halt_reason = reason

    def places(self, connection: Connection) -> dict[TopicPartition, Place]:
        """Return how far this consumer has come, in whichever process its instances are.

        Where something is parked it has come up to the first of that: what lies behind is not done.
        """
        places = self._stored_places(connection)
        for at, first in self._dead_letters.first_parked(connection).items():
            places[at] = places[at]._replace(position=min(places[at].position, first))
        return places

    def _stored_places(self, connection: Connection) -> dict[TopicPartition, Place]:
        table = self._service.tables.consumer_progress
        rows = connection.execute(select(table).where(table.c.consumer == self._consumer.name))
        return {TopicPartition(row.topic, row.partition): _stored_place(row) for row in rows}

    def _begin(self, connection: Connection, beginnings: Mapping[TopicPartition, int]) -> None:
        self._dead_letters.forget(connection, beginnings)
        self._save(connection, beginnings)

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
        """Move on from where we know that we are, and from nowhere else.

        A database that was replaced by a copy of itself, such as a standby without the last
        commits, is further back, with what lies between not handled.

        Raises:
            FencedError: somebody else owns a partition, or its position is another one.
        """
        timelines = self._timelines.of(positions)
        for at, position in positions.items():
            place = {
                "of_consumer": self._consumer.name,
                "of_topic": at.topic,
                "of_partition": at.partition,
                "of_fence": self._fences[at],
                "from_position": self._handled[at],
                "position": position,
                "timeline": timelines[at],
            }
            saved = connection.execute(self._service.tables.update_consumer_progress, place)
            if not saved.rowcount:
                raise FencedError(
                    f"{self._consumer.name} no longer owns {at}, or is not where it was in it; "
                    "it rejoins"
                )

    def _own_row(self, at: TopicPartition) -> tuple[Any, ...]:
        table = self._service.tables.consumer_progress
        return (
            table.c.consumer == self._consumer.name,
            table.c.topic == at.topic,
            table.c.partition == at.partition,
        )


def _is_at_least(place: Place | None, position: int, timeline: str | None) -> bool:
    """Tell whether a stored place is ours or behind it; in another timeline no position counts."""
    if place is None or (place.timeline and timeline and place.timeline != timeline):
        return False
    return place.position >= position


def _stored_place(row: Row[Any]) -> Place:
    return Place(row.position, row.timeline or None)


def _timelines(places: Mapping[TopicPartition, Place]) -> dict[TopicPartition, str]:
    return {at: place.timeline for at, place in places.items() if place.timeline is not None}


def _place(record: Record) -> tuple[TopicPartition, int]:
    return record.topic_partition, record.offset
