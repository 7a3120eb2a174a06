"""A service's private schema in a PostgreSQL database, through SQLAlchemy Core on threads.

Several processes write at once, so a transaction works on one snapshot, and one that lost a race
against another is run again from its start. docs/adr/0010 says why, and what work must keep to.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import sqlalchemy
from sqlalchemy import Connection, Engine
from sqlalchemy.pool import NullPool, Pool, QueuePool

from slackwater.database.port import DatabaseCapability, Session
from slackwater.database.postgresql_connection import RawConnection, connect, is_lost
from slackwater.database.postgresql_errors import translated
from slackwater.database.postgresql_lease import hold_lease
from slackwater.database.postgresql_start import check_schema_name, prepare_start
from slackwater.database.postgresql_transaction import (
    READ,
    WRITE,
    StaleConnectionError,
    driver_of,
    run_statement,
    run_transaction,
)
from slackwater.database.repetition import Repetition
from slackwater.database.transactions import keep_transactions_open
from slackwater.database.workers import Workers
from slackwater.outbox.tally import watch_state_changes

T = TypeVar("T")

_OUTSIDE_TIMEOUT_S = 300


class PostgresqlDatabase:
    """Implements `slackwater.database.port.Database`; a commit has reached the server's disk."""

    capabilities = frozenset(DatabaseCapability)

    def __init__(
        self,
        url: str,
        *,
        schema: str = "public",
        writers: int = 6,
        readers: int = 2,
        repeat_timeout_ms: int = 5_000,
        lease_timeout_ms: int = 10_000,
    ) -> None:
        """Open nothing yet.

        Args:
            url: of libpq, such as `postgresql://user@host:5432/database`.
            schema: the service's own; it is created when it is missing.
            writers: how many transactions run at once in this process.
            readers: how many reads do.
            repeat_timeout_ms: how long a transaction that loses races is run again.
            lease_timeout_ms: after which silence a lease is given to the next.
        """
        self.url = url
        self.schema = check_schema_name(schema)
        self._lease_settings = {"idle_session_timeout": f"{lease_timeout_ms}ms"}
        self._starting = threading.Lock()
        self._started = False
        self._name = f"slackwater {schema}"
        self.engine = _create_engine(
            self._connect, QueuePool, pool_size=writers + readers, max_overflow=0
        )
        self._lease_engine = _create_engine(self._connect_for_lease, NullPool)
        self._repetition = Repetition(timeout_ms=repeat_timeout_ms)
        self._writers = Workers(f"write {schema}", writers)
        self._readers = Workers(f"read {schema}", readers)

    async def transact(self, work: Callable[[Connection], T]) -> T:
        return await self._writers.run(
            lambda: translated(lambda: self._repetition.run(lambda: self._run(WRITE, work)))
        )

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._readers.run(lambda: translated(lambda: self._run(READ, work)))

    async def read_one(self, work: Callable[[Connection], T]) -> T:
        return await self._readers.run(lambda: translated(lambda: self._run(None, work)))

    async def outside(self, work: Callable[[RawConnection], T]) -> T:
        """Run `work` on a connection of its own and in no transaction, for what none can hold."""

        def run() -> T:
            with self._checked(
                connect(
                    self.url,
                    name=self._name,
                    schema=self.schema,
                    settings={"statement_timeout": f"{_OUTSIDE_TIMEOUT_S}s", "lock_timeout": "0"},
                )
            ) as connection:
                return work(connection)

        return await asyncio.to_thread(lambda: translated(run))

    def lease(self, role: str) -> AbstractAsyncContextManager[Session]:
        return hold_lease(self._lease_engine, self.schema, role)

    async def close(self) -> None:
        await self._writers.close()
        await self._readers.close()
        await asyncio.to_thread(self.engine.dispose)

    def _run(self, begin: str | None, work: Callable[[Connection], T]) -> T:
        try:
            return self._run_once(begin, work)
        except StaleConnectionError:  # other idle ones may have ended with it
            self.engine.dispose()
            return self._run_once(begin, work)

    def _run_once(self, begin: str | None, work: Callable[[Connection], T]) -> T:
        with self.engine.connect() as connection:
            driver = driver_of(connection)
            try:
                if begin is None:
                    return run_statement(connection, work)
                return run_transaction(connection, begin, work)
            finally:
                if is_lost(driver):
                    connection.invalidate()

    def _connect(self) -> RawConnection:
        connection = connect(self.url, name=self._name, schema=self.schema)
        return self._checked(connection)

    def _connect_for_lease(self) -> RawConnection:
        connection = connect(
            self.url,
            name=f"{self._name} lease",
            schema=self.schema,
            settings=self._lease_settings,
        )
        return self._checked(connection)

    def _checked(self, connection: RawConnection) -> RawConnection:
        """Check the server at the first connection of this handle."""
        with self._starting:
            if not self._started:
                try:
                    prepare_start(connection, self.schema)
                except BaseException:
                    connection.close()
                    raise
                self._started = True
        return connection


def _create_engine(creator: Callable[[], RawConnection], pool: type[Pool], **sizes: int) -> Engine:
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=creator,
        poolclass=pool,
        isolation_level="AUTOCOMMIT",
        use_native_hstore=False,
        **sizes,
    )
    keep_transactions_open(engine)
    watch_state_changes(engine)
    return engine
