"""A session that keeps to one server, whichever connections it is given.

A pool may hold connections to the server that was there before and new ones to the server that took
over, and the one before may go on answering reads. What is put together from both is the state of
neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from slackwater.database.history import read_history
from slackwater.database.port import Session
from slackwater.errors import TransientError

T = TypeVar("T")


class OneServer:
    """Implements `Session`: refuses to work on another server than the first that answered."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._history: str | None = None

    async def history(self) -> str:
        """Return the history that the server writes.

        Raises:
            TransientError: it is not the one that answered first.
        """
        return await self.read(read_history)

    async def transact(self, work: Callable[[Connection], T]) -> T:
        return await self._session.transact(lambda connection: self._checked(connection, work))

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._session.read(lambda connection: self._checked(connection, work))

    def _checked(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        history = read_history(connection)
        if self._history is None:
            self._history = history
        if history != self._history:
            raise TransientError("another database server answers than a moment ago; try again")
        return work(connection)
