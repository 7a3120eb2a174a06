"""A service's private database in an SQLite file, through SQLAlchemy Core."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar, cast

import sqlalchemy
from sqlalchemy import Connection
from sqlalchemy.pool import NullPool

from slackwater.database.port import DatabaseCapability, Session
from slackwater.database.sqlite_lease import hold_file
from slackwater.database.transactions import keep_transactions_open
from slackwater.outbox.tally import watch_state_changes
from slackwater.sqlite import driver
from slackwater.sqlite.readers import Readers
from slackwater.sqlite.writer import Opened, Writer

T = TypeVar("T")


class SqliteDatabase:
    """Implements `slackwater.database.port.Database`; a commit has reached the disk."""

    capabilities: frozenset[DatabaseCapability] = frozenset()

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.engine = sqlalchemy.create_engine(
            "sqlite+pysqlite://",
            creator=lambda: driver.connect(path),
            module=driver.dbapi2,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
        )
        keep_transactions_open(self.engine)
        watch_state_changes(self.engine)
        self._writer = Writer(path, self._open)
        self._readers = Readers(path.stem, self._open)

    async def transact(self, work: Callable[[Connection], T]) -> T:
        return await self._writer.run(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._readers.run(work)

    async def read_one(self, work: Callable[[Connection], T]) -> T:
        return await self.read(work)

    def lease(self, role: str) -> AbstractAsyncContextManager[Session]:
        return hold_file(self._path, role, self)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.close()
        self._readers.close()
        self.engine.dispose()

    def _open(self) -> Opened[Connection]:
        connection = self.engine.connect()
        raw = connection.connection.driver_connection
        return Opened(connection, cast("driver.Connection", raw), connection.close)
