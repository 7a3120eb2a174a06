"""Counters in PostgreSQL whose events are mined from its write-ahead log, by each way."""

from __future__ import annotations

from sqlalchemy import Connection, false, or_, select

from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.event_log.port import EventLog
from slackwater.mining.beginning import begin_messages
from slackwater.mining.miner import Miner, slot_of
from slackwater.mining.slot import Slot
from slackwater.mining.way import begin_way
from slackwater.outbox.publishing import Publishing
from slackwater.testing import counting
from slackwater.testing.counter_streams import CounterStreams
from slackwater.testing.relay_contract import (
    Source,
    has_watermarks,
    running,
    until,
)
from tests.postgresql_server import administrator


class MinedOutbox(Source):
    """Events are rows, and a miner sees them inserted."""

    publishing = Publishing.LOG_OUTBOX
    repeated_max = 500

    @property
    def mined(self) -> PostgresqlDatabase:
        assert isinstance(self.database, PostgresqlDatabase)
        return self.database

    @property
    def slot(self) -> Slot:
        return slot_of(self.mined, self.tables, self.publishing, counting.mapping)

    def relay(self, *, log: EventLog | None = None, heartbeat_ms: int = 100) -> Miner:
        return Miner(
            counting.SOURCE,
            topics=[counting.COUNTERS.name],
            tables=self.tables,
            database=self.mined,
            log=log or self.log,
            doorbell=self.doorbell,
            heartbeat_ms=heartbeat_ms,
            publishing=self.publishing,
            mapping=counting.mapping,
        )


class MinedStreams(MinedOutbox, CounterStreams):
    """The same with an event store in the outbox's place."""


class MadeOfLog(MinedOutbox):
    """Events become rows only when they are mined."""

    overtakes = False

    async def prepare(self) -> None:
        await super().prepare()
        await self.begin()

    async def begin(self) -> None:
        """Have events leave so from now on, as a service does when it starts."""
        events = self.tables.events.name
        await self.mined.outside(lambda each: begin_way(each, self.publishing, events))

    def waiting_runs(self, connection: Connection) -> frozenset[str]:
        """Return the runs that have raised a counter last, and are not published yet."""
        counters, events = counting.counters, counting.tables.events
        told = (events.c.aggregateid == counters.c.id) & (events.c.version == counters.c.value)
        waiting = (
            select(counters.c.run)
            .select_from(counters.outerjoin(events, told))
            .where(counters.c.value > 0)
            .where(or_(events.c.id.is_(None), events.c.published == false()))
        )
        return frozenset(connection.execute(waiting).scalars())


class MinedMessages(MadeOfLog):
    """Events are messages in the log."""

    publishing = Publishing.LOG_MESSAGES

    async def begin(self) -> None:
        events = self.tables.events.name
        await self.mined.outside(lambda connection: begin_messages(connection, self.slot, events))


class MinedRows(MadeOfLog):
    """Events are inferred from the counters' rows."""

    publishing = Publishing.ROW_CHANGES

    async def prepare(self) -> None:
        await super().prepare()
        async with running(self.relay()):
            await until(lambda: has_watermarks(self))


async def is_marked(source: Source) -> bool:
    """Tell whether everything that is a row is marked as published."""
    return await source.unpublished() == 0


def drop_slot(source: MinedOutbox) -> None:
    """Lose the slot, which nobody streams from."""
    with administrator() as connection:
        connection.execute("SELECT pg_drop_replication_slot(%s)", [source.slot.name])
