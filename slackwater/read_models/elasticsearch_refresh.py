"""Refreshes that are shared: at most one every few milliseconds, each begun after its callers came.

A refresh costs the same for one document and for thousands, and too many of them leave small
segments that slow down every search. Who comes while one is running waits for the next, because
only a refresh that begins after a write was acknowledged is sure to show it. The interval is the
floor of search: a document may take that long to be found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class SharedRefresh:
    """Refreshes of one index by one process."""

    def __init__(self, refresh: Callable[[], Awaitable[str]], *, interval_ms: int) -> None:
        """Share `refresh`, which returns a stamp; its beginnings are `interval_ms` apart."""
        self._refresh = refresh
        self._interval_s = interval_ms / 1000
        self._running = asyncio.Lock()
        self._begun_at_s = float("-inf")
        self._next: asyncio.Task[str] | None = None
        self._tasks: set[asyncio.Task[str]] = set()

    async def wait(self) -> str:
        """Return the stamp of a refresh that began after this call; raise what it raised."""
        if self._next is None:
            self._next = asyncio.create_task(self._run())
            self._tasks.add(self._next)
            self._next.add_done_callback(self._done)
        return await asyncio.shield(self._next)

    async def close(self) -> None:
        """Give up what has not come to its end."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self) -> str:
        async with self._running:
            try:
                await self._wait_for_the_interval()
            finally:
                self._next = None  # who comes from here on needs another one
            return await self._refresh()

    async def _wait_for_the_interval(self) -> None:
        now_s = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, self._begun_at_s + self._interval_s - now_s))
        self._begun_at_s = asyncio.get_running_loop().time()

    def _done(self, task: asyncio.Task[str]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # all who waited may be gone; asyncio would complain of that
