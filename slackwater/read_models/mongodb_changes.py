"""Waits for changes of a MongoDB collection: told by a change stream, or by looking often.

    watch ─► opened: report a change ─► next change: report it …
      ▲                                   │
      └── connection lost, after a pause ◄┘      refused ─► report a change every 50 ms

Whatever happened while no stream was open is covered by the report at its opening.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from pymongo.asynchronous.collection import AsyncCollection

from slackwater.backoff import backoff
from slackwater.errors import StructuralError, TransientError
from slackwater.logs import logger
from slackwater.read_models.mongodb_database import MongodbDatabase, Stored
from slackwater.read_models.mongodb_errors import translated

_AWAIT_MS = 1_000
_LOOK_AGAIN_S = 0.05
_RECONNECT_FIRST_S = 0.05
_RECONNECT_MAX_S = 1.0
_ONLY_THE_TIME = [{"$project": {"_id": 1, "clusterTime": 1}}]

_log = logger("progress")


class MongodbChanges:
    """Whether a collection may have changed since one asked last; one task at a time asks."""

    def __init__(self, database: MongodbDatabase, collection: AsyncCollection[Stored]) -> None:
        self._database = database
        self._collection = collection
        self._changed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def wait(self, *, timeout_ms: int) -> None:
        """Return when something may have changed since the last call, or time is up."""
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch_or_look())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_ms / 1000)
        self._changed.clear()

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None

    async def _watch_or_look(self) -> None:
        try:
            await self._watch_again_and_again()
        except StructuralError as error:
            _log.warning("change streams are refused, looking instead", reason=str(error))
            while True:
                self._changed.set()
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def _watch_again_and_again(self) -> None:
        pauses_s = backoff(first_s=_RECONNECT_FIRST_S, max_s=_RECONNECT_MAX_S)
        while True:
            try:
                with translated():
                    await self._watch()
            except TransientError as error:
                _log.warning("the change stream was lost", reason=str(error))
            await asyncio.sleep(next(pauses_s))

    async def _watch(self) -> None:
        changes = await self._collection.watch(_ONLY_THE_TIME, max_await_time_ms=_AWAIT_MS)
        async with changes:
            self._changed.set()
            while changes.alive:
                change = await changes.try_next()
                if change is not None:
                    self._database.witness(change.get("clusterTime"))
                    self._changed.set()
