"""The tick of a source as a service tells it: only in a history that was compared with the log.

    read tick and history in one statement ─► settled in that history? ─► tell
                        ▲                          │ no
                        └── remember the history ◄─┴─ compare source and log (`Lineage.settle`)

A server that has taken over (`slackwater.database.history`) may lack what was committed last. Its
tick then counts in a timeline of which read models hold more than the source: they would seem to
have whatever is written next. What is remembered is the history of the server that was compared,
which need not be the one that was asked for the tick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from slackwater.database.port import Database
from slackwater.errors import StructuralError, TransientError
from slackwater.logs import logger
from slackwater.outbox.probed import Probed, read_probed
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.ticks import TickInHistory, current_tick_in_history
from slackwater.watermarks.tick import Tick

_TRIES_MAX = 3
_log = logger("service")


class _InHistory(Protocol):
    @property
    def history(self) -> str: ...


T = TypeVar("T", bound=_InHistory)


class SettledTicks:
    """Of one service in one process."""

    def __init__(
        self,
        source: str,
        *,
        tables: KernelTables,
        database: Database,
        settle: Callable[[], Awaitable[str]],
    ) -> None:
        """`settle` begins a new timeline if the histories of source and log have parted.

        It returns the history that it has compared.
        """
        self._source = source
        self._tables = tables
        self._database = database
        self._settle = settle
        self._settled_in: str | None = None
        self._settling = asyncio.Lock()
        self._failures = 0

    async def begin(self) -> None:
        """Settle in the history that the server writes now."""
        async with self._settling:
            self._settled_in = await self._settle()

    async def current(self) -> Tick:
        """Return the tick as it is now.

        Raises:
            TransientError: it cannot be told now.
        """
        table = self._tables.tick

        def read(connection: Connection) -> TickInHistory:
            return current_tick_in_history(connection, table)

        return (await self._settled(lambda: self._database.read(read))).tick

    async def probed(self) -> Probed:
        """Return what a probe is answered.

        Raises:
            TransientError: it cannot be told now.
        """
        tables = self._tables
        return await self._settled(
            lambda: self._database.read_one(lambda connection: read_probed(connection, tables))
        )

    async def _settled(self, read: Callable[[], Awaitable[T]]) -> T:
        for _ in range(_TRIES_MAX):
            found = await read()
            if found.history == self._settled_in:
                return found
            await self._settle_in_turn(found.history)
        raise TransientError(f"servers of {self._source} take over from one another; try again")

    async def _settle_in_turn(self, history: str) -> None:
        """Settle anew, unless somebody did while this one waited, or has failed to."""
        failures = self._failures
        async with self._settling:
            if history == self._settled_in:
                return
            if self._failures > failures:
                raise TransientError(f"{self._source} cannot tell its tick now; try again")
            try:
                await self._settle_anew(history)
            except TransientError:
                self._failures += 1
                raise

    async def _settle_anew(self, history: str) -> None:
        _log.warning(
            "another server answers, or was started again", source=self._source, history=history
        )
        try:
            self._settled_in = await self._settle()
        except StructuralError as error:  # for the relay, or somebody, to mend; who asks may wait
            raise TransientError(f"{self._source} cannot tell its tick: {error}") from error
