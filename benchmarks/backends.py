"""What a relay costs the database server: the processor time of the sessions that serve it.

Only for a server on this machine whose processes we may look at; elsewhere nothing is told.
"""

from __future__ import annotations

from contextlib import suppress
from typing import cast

from benchmarks.contender import Contender
from benchmarks.relaying import cpu_s
from slackwater.database.postgresql_connection import RawConnection

_SESSIONS = (
    "SELECT pid FROM pg_stat_activity WHERE starts_with(application_name, 'Debezium') "
    "OR strpos(application_name, %s) > 0"
)


class RelayBackends:
    """The server's processes for one relay: those that have come since it was started."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._others: set[int] = set()

    async def leave_out_present(self) -> None:
        """Call it before the relay is started."""
        self._others = await self._sessions()

    async def cpu_s(self) -> dict[int, float]:
        """Return the processor time that each has taken so far."""
        found: dict[int, float] = {}
        for pid in await self._sessions() - self._others:
            with suppress(OSError):
                found[pid] = cpu_s(pid)
        return found

    async def _sessions(self) -> set[int]:
        def ask(connection: RawConnection) -> set[int]:
            found = connection.execute(_SESSIONS, [self._contender.source]).fetchall()
            return {cast("int", pid) for (pid,) in found}

        return await self._contender.database.outside(ask)
