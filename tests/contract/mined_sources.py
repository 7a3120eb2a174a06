"""Counters in PostgreSQL whose events are mined from its write-ahead log."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.event_log.port import EventLog
from slackwater.mining.messages import LogMessages
from slackwater.mining.miner import Miner, prepare_slot
from slackwater.mining.reading import Messages, OutboxRows, Reading
from slackwater.testing import counting
from slackwater.testing.relay_contract import Source

if TYPE_CHECKING:
    from slackwater.outbox.channel import Channel


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
    def reading(self) -> Reading:
        return OutboxRows(counting.SOURCE, counting.tables)

    async def prepare(self) -> None:
        await super().prepare()
        await prepare_slot(self.mined, self.reading)

    def relay(self, *, log: EventLog | None = None, heartbeat_ms: int = 100) -> Miner:
        return Miner(
            counting.SOURCE,
            topics=[counting.COUNTERS.name],
            tables=counting.tables,
            database=self.mined,
            log=log or self.log,
            doorbell=self.doorbell,
            reading=self.reading,
            heartbeat_ms=heartbeat_ms,
        )


class MinedMessages(MinedOutbox):
    """Events are messages in the log, and no table holds them."""

    has_rows = False

    @property
    def reading(self) -> Reading:
        return Messages(self.mined.schema)

    @property
    def channel(self) -> Channel:  # type: ignore[override]
        return LogMessages(self.mined.schema)

    def waiting_runs(self, _: Connection) -> frozenset[str]:
        return frozenset()  # what was committed is seen by whoever has committed it
