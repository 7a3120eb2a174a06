"""Who holds a partition writes in one session, so that its successor can end what it left open.

A process that is killed in the middle of a transaction leaves it open in the server, with all rows
that it touched, until the server gives it up: after a minute, if nobody set it otherwise. Whoever
claims a partition therefore leaves the number of its session beside the fence, and ends the session
of its predecessor first. One that lives loses what it has open, which the claim would fence off
anyway, or which it does again: being interrupted passes. A commit that went through stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bson.binary import Binary
from pymongo.asynchronous.collection import AsyncCollection

from slackwater.errors import StructuralError
from slackwater.logs import logger
from slackwater.read_models.mongodb_database import MongodbDatabase, Session, Stored
from slackwater.read_models.progress import ModelVersion

_BATCH_SIZE = 10_000

_log = logger("progress")


@dataclass
class _Held:
    session: Session
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class MongodbHolders:
    """The sessions in which this process writes, one for each version of a read model."""

    def __init__(self, database: MongodbDatabase, progress: AsyncCollection[Stored]) -> None:
        self._database = database
        self._progress = progress
        self._held: dict[ModelVersion, _Held] = {}

    @asynccontextmanager
    async def session(self, model: ModelVersion) -> AsyncIterator[Session]:
        """Lend the session in which this process writes the model, to one task at a time."""
        if model not in self._held:
            self._held[model] = _Held(self._database.lasting_session())
        held = self._held[model]
        async with held.lock:
            if held.session.in_transaction:  # whoever had it last was cancelled
                await held.session.abort_transaction()
            yield held.session

    async def end_predecessors(self, own: Session, partitions: Sequence[Stored]) -> None:
        """Take back whatever other holders of these partitions have not committed.

        Args:
            own: the session that is spared.
            partitions: one filter each.
        """
        left = await self._sessions_of(partitions) - {number_of(own)}
        if not left:
            return
        try:
            await self._database.end_sessions(sorted(left))
        except StructuralError as error:  # not every server that speaks the protocol can
            _log.info("sessions cannot be ended, waiting for their end", reason=str(error))

    async def close(self) -> None:
        for held in self._held.values():
            await held.session.end_session()
        self._held.clear()

    async def _sessions_of(self, partitions: Sequence[Stored]) -> set[Binary]:
        async with self._database.session() as session:
            found = self._progress.find(
                {"$or": list(partitions)}, {"holder": 1}, session=session, batch_size=_BATCH_SIZE
            )
            return {each["holder"] for each in await found.to_list() if "holder" in each}


def number_of(session: Session) -> Binary:
    """Return what the server knows the session by."""
    number: Binary = session.session_id["id"]
    return number
