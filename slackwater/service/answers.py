"""The answers kept for repeated commands leave after a retention.

Until then a repeat gets the first answer; later the command is done again. That is what a client
may rely on, so an answer must not look older than it is: a clock that steps forward while a service
runs counts for no more time than has passed.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Delete, Table, bindparam, delete, select

from slackwater.clock import Clock
from slackwater.database.port import Session
from slackwater.errors import TransientError
from slackwater.logs import logger

_BATCH_MAX = 200
_PAUSE_S = 0.1
_IDLE_INTERVAL_S = 60.0
_log = logger("service")


class OldAnswers:
    """Removes the answers of one service that are older than the retention, oldest first."""

    def __init__(self, table: Table, *, session: Session, clock: Clock, retention_s: float) -> None:
        self._table = table
        self._session = session
        self._clock = clock
        self._retention = timedelta(seconds=retention_s)
        self._began = clock.now()
        self._began_s = clock.monotonic()

    async def keep_removing(self) -> None:
        """Remove them as they become old, without end; several instances may do so at once."""
        while True:
            removed = await self._try_to_remove()
            await asyncio.sleep(_PAUSE_S if removed else _IDLE_INTERVAL_S)

    async def remove(self) -> int:
        """Remove one batch, and return how many answers that were."""
        before = (self._now() - self._retention).isoformat()
        old = {"before": before, "most": _BATCH_MAX}
        return await self._session.transact(lambda connection: self._remove(connection, old))

    async def _try_to_remove(self) -> int:
        try:
            return await self.remove()
        except TransientError as error:
            _log.warning("old answers cannot be removed now", reason=str(error))
            return 0

    def _now(self) -> datetime:
        passed = timedelta(seconds=self._clock.monotonic() - self._began_s)
        return min(self._clock.now(), self._began + passed)

    def _remove(self, connection: Connection, old: dict[str, Any]) -> int:
        return connection.execute(_delete(self._table), old).rowcount


@cache
def _delete(table: Table) -> Delete:
    old = select(table.c.key).where(table.c.recorded_at < bindparam("before"))
    oldest = old.order_by(table.c.recorded_at).limit(bindparam("most"))
    return delete(table).where(table.c.key.in_(oldest))
