"""Counters in PostgreSQL whose events are mined from its write-ahead log."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.event_log.port import EventLog
from slackwater.mining.miner import Miner, slot_of
from slackwater.mining.slot import Slot
from slackwater.testing import counting
from slackwater.testing.counter_streams import CounterStreams
from slackwater.testing.relay_contract import Source


def schema_of(directory: Path) -> str:
    """Name a schema as no other test does: slots are the whole server's."""
    return f"counting_{sha256(str(directory).encode()).hexdigest()[:12]}"


class MinedOutbox(Source):
    """Events are rows, and a miner sees them inserted."""

    repeated_max = 500

    @property
    def mined(self) -> PostgresqlDatabase:
        assert isinstance(self.database, PostgresqlDatabase)
        return self.database

    @property
    def slot(self) -> Slot:
        return slot_of(self.mined, self.tables)

    def relay(self, *, log: EventLog | None = None, heartbeat_ms: int = 100) -> Miner:
        return Miner(
            counting.SOURCE,
            topics=[counting.COUNTERS.name],
            tables=self.tables,
            database=self.mined,
            log=log or self.log,
            doorbell=self.doorbell,
            heartbeat_ms=heartbeat_ms,
        )


class MinedStreams(MinedOutbox, CounterStreams):
    """The same with an event store in the outbox's place."""
