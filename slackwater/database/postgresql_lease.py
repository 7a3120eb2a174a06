"""Leases on PostgreSQL: an advisory lock held by one connection, which does the holder's work.

The server frees the lock when that connection ends: at once when the holder's process dies, and
after a silence when its machine is gone, or the process stands still (`idle_session_timeout`).
A holder that goes on afterwards finds its connection ended; nothing here ever connects it anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TypeVar

from sqlalchemy import Connection, Engine

from slackwater.database.port import DatabaseError, LostLeaseError, Session
from slackwater.database.postgresql_connection import RawConnection, is_lost
from slackwater.database.postgresql_errors import translated
from slackwater.database.postgresql_transaction import READ, WRITE, driver_of, run_transaction
from slackwater.database.repetition import Repetition
from slackwater.database.workers import Workers

T = TypeVar("T")

_LOOK_INTERVAL_S = 0.25
_REPEAT_TIMEOUT_MS = 2_000


@asynccontextmanager
async def hold_lease(engine: Engine, schema: str, role: str) -> AsyncIterator[Session]:
    """Hold the lock of `role` in `schema`; `engine` connects with an idle timeout."""
    workers = Workers(f"lease {role}", 1)
    held = _HeldConnection(engine)
    try:
        connection = await workers.run(held.open)
        await _wait_for_lock(workers, connection, _key_of(schema, role))
        yield LeaseSession(workers, connection)
    finally:
        await workers.run(held.end)  # on the same thread: after whatever still runs there
        await workers.close()


class LeaseSession:
    """Implements `Session` on the one connection that holds the lock."""

    def __init__(self, workers: Workers, connection: Connection) -> None:
        self._workers = workers
        self._connection = connection
        self._driver = driver_of(connection)
        self._repetition = Repetition(timeout_ms=_REPEAT_TIMEOUT_MS)

    async def transact(self, work: Callable[[Connection], T]) -> T:
        return await self._run(
            lambda: self._repetition.run(lambda: run_transaction(self._connection, WRITE, work))
        )

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._run(lambda: run_transaction(self._connection, READ, work))

    async def _run(self, work: Callable[[], T]) -> T:
        return await self._workers.run(lambda: self._while_held(work))

    def _while_held(self, work: Callable[[], T]) -> T:
        try:
            if not is_lost(self._driver):
                return translated(work)
        except DatabaseError as error:
            if not is_lost(self._driver):
                raise
            raise LostLeaseError(f"the lease was lost: {error}; wait for it anew") from error
        raise LostLeaseError("the lease was lost before; wait for it anew")


class _HeldConnection:
    """A connection that is ended even if nobody waited for its beginning."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._driver: RawConnection | None = None

    def open(self) -> Connection:
        self._connection = translated(self._engine.connect)
        self._driver = driver_of(self._connection)
        return self._connection

    def end(self) -> None:
        """End it; one that was lost in a transaction is asked for its driver no more."""
        if self._connection is not None and self._driver is not None:
            self._driver.close()
            self._connection.invalidate()
            self._connection.close()


async def _wait_for_lock(workers: Workers, connection: Connection, key: int) -> None:
    while not await workers.run(lambda: translated(lambda: _try_lock(connection, key))):  # noqa: ASYNC110 - others hold it
        await asyncio.sleep(_LOOK_INTERVAL_S)


def _try_lock(connection: Connection, key: int) -> bool:
    row = driver_of(connection).execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone()
    return row is not None and bool(row[0])


def _key_of(schema: str, role: str) -> int:
    digest = sha256(f"slackwater lease {schema} {role}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
