"""The ways of publishing that are compared; whoever adds another one adds it here."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Table, Text
from sqlalchemy.dialects.postgresql import insert

from benchmarks.contender import Contender, places
from benchmarks.debezium_engine import DEFAULTS, TUNED, Debezium
from slackwater.events.event import Cause
from slackwater.mining.beginning import begin_messages
from slackwater.mining.mapping import Inferred, MappedTable, RowChange, RowMapping
from slackwater.mining.miner import Miner, slot_of
from slackwater.outbox.mined import read_mined
from slackwater.outbox.publishing import Publishing
from slackwater.outbox.relay import Relay
from slackwater.outbox.unit_of_work import UnitOfWork

_BEGINNING_S = 60.0
_LOOK_INTERVAL_S = 0.1


class Ours(Contender):
    """A relay of this project, in a process of its own."""

    way = Publishing.OUTBOX

    def relay_command(self) -> Sequence[str]:
        us = sys.executable, "-m", "benchmarks.atomicity"
        return [*us, "--relay", self.name, "--run", self.run]

    async def relay(self) -> None:
        """Relay until the process is ended."""
        await self.open_relay(Relay).run()

    def open_relay(self, kind: Callable[..., Relay], **more: Any) -> Relay:
        return kind(
            self.source,
            topics=[self.topic.name],
            tables=self.tables,
            database=self.database,
            log=self.log,
            doorbell=self.doorbell,
            **more,
        )


class Mined(Ours):
    """A miner whose slot is older than the backlog, so that this is read from the log."""

    way = Publishing.LOG_OUTBOX

    async def prepare(self) -> None:
        await super().prepare()
        await self.database.outside(slot_of(self.database, self.tables).make)

    async def relay(self) -> None:
        await self.open_relay(Miner).run()


class Messages(Ours):
    """Events are messages in the log; a miner makes rows of them."""

    way = Publishing.LOG_MESSAGES

    async def prepare(self) -> None:
        await super().prepare()
        slot, events = slot_of(self.database, self.tables, self.way), self.tables.events.name
        await self.database.outside(lambda connection: begin_messages(connection, slot, events))

    def unit_of_work(self, connection: Connection) -> UnitOfWork:
        return UnitOfWork(
            connection,
            source=self.source,
            tables=self.tables,
            event_types=self.types,
            cause=Cause.start(),
            now=datetime.now(UTC),
            publishing=self.way,
        )

    async def relay(self) -> None:
        await self.open_relay(Miner, publishing=self.way).run()


class Rows(Ours):
    """Events are inferred from rows that change; the history has begun before the backlog."""

    way = Publishing.ROW_CHANGES

    def __init__(self, name: str, run: str, url: str, kafka: str) -> None:
        super().__init__(name, run, url, kafka)
        columns = Column("id", Text, primary_key=True), Column("filler", Text)
        things = Table("thing", self.metadata, *columns)
        self._mapping = RowMapping(
            event_types=self.types, tables=(MappedTable(things),), infer=self._infer
        )
        put = insert(things)
        changed = {"filler": put.excluded.filler}
        self._put = put.on_conflict_do_update(index_elements=["id"], set_=changed)

    async def prepare(self) -> None:
        await super().prepare()
        beginning = asyncio.create_task(self.relay())
        async with asyncio.timeout(_BEGINNING_S):
            while not await self.database.read(self._has_begun):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(_LOOK_INTERVAL_S)
        beginning.cancel()
        await asyncio.wait([beginning])

    def write(self, connection: Connection, count: int, start: int) -> None:
        """Change a row for each event."""
        rows = [{"id": thing, "filler": self.filler} for thing, _ in places(count, start)]
        connection.execute(self._put, rows)

    async def relay(self) -> None:
        await self.open_relay(Miner, publishing=self.way, mapping=self._mapping).run()

    def _infer(self, changes: Sequence[RowChange]) -> Iterator[Inferred]:
        for change in changes:
            if change.new is not None:
                body = self.event_body(filler=change.new["filler"])
                yield Inferred(body, change.new["id"], change.new["id"])

    def _has_begun(self, connection: Connection) -> bool:
        state = read_mined(connection, self.tables.mined)
        return state is not None and state.has_begun


Opening = Callable[[str, str, str, str], Contender]
"""Opens a contender, given its name, the run's, and the addresses of PostgreSQL and Kafka."""

OURS: dict[str, Callable[[str, str, str, str], Ours]] = {
    each.way.value: each for each in (Ours, Mined, Messages, Rows)
}
DEBEZIUM: dict[str, Opening] = {
    "DEBEZIUM": partial(Debezium, settings=DEFAULTS),
    "DEBEZIUM_TUNED": partial(Debezium, settings=TUNED),
}
CONTENDERS: dict[str, Opening] = {**OURS, **DEBEZIUM}
