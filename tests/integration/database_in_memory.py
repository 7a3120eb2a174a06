"""A service's database in memory, for one task at a time: laws are tried on it many times."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from slackwater.database.port import DatabaseCapability, Session
from slackwater.database.transactions import keep_transactions_open
from slackwater.outbox.tally import watch_state_changes

T = TypeVar("T")


class DatabaseInMemory:
    """Implements `Database`; says how each transaction has ended."""

    capabilities: frozenset[DatabaseCapability] = frozenset()

    def __init__(self) -> None:
        self._engine = create_engine(
            "sqlite://", poolclass=StaticPool, isolation_level="AUTOCOMMIT"
        )
        keep_transactions_open(self._engine)
        watch_state_changes(self._engine)
        self.connection = self._engine.connect()
        self.ended: Callable[[bool], None] = lambda _: None

    async def transact(self, work: Callable[[Connection], T]) -> T:
        self.connection.exec_driver_sql("BEGIN")
        try:
            outcome = work(self.connection)
        except BaseException:
            self.connection.exec_driver_sql("ROLLBACK")
            self.ended(False)
            raise
        self.connection.exec_driver_sql("COMMIT")
        self.ended(True)
        return outcome

    async def read(self, work: Callable[[Connection], T]) -> T:
        return work(self.connection)

    def lease(self, role: str) -> AbstractAsyncContextManager[Session]:
        raise NotImplementedError  # relays alone hold leases, and none runs here

    async def close(self) -> None:
        self.connection.close()
        self._engine.dispose()
