"""A bounded number of threads for blocking work, with a bounded queue before them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from slackwater.database.port import DatabaseError

T = TypeVar("T")

_QUEUE_MAX = 10_000


class Workers:
    """Threads by name."""

    def __init__(self, name: str, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._unfinished = 0
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` on a thread.

        Raises:
            DatabaseError: too much work waits, or the threads have ended.
        """
        if self._closed:
            raise DatabaseError("the database is closed; start the part again")
        if self._unfinished >= _QUEUE_MAX:
            raise DatabaseError("too many commands wait for the database; try again")
        self._unfinished += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._unfinished -= 1

    async def close(self) -> None:
        """Finish what waits, then end the threads."""
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown)
