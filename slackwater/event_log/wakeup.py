"""One wake-up for many bells, so that a reader of several topics waits in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from slackwater.doorbell import Doorbell, Listener

_LISTEN_TIMEOUT_MS = 60_000


class Wakeup:
    """Wakes its one waiter when any of the bells rings, or `wake` is called."""

    def __init__(self, doorbell: Doorbell, bells: Iterable[str]) -> None:
        self._news = asyncio.Event()
        self._listeners = [doorbell.listen(bell) for bell in bells]
        self._tasks = [asyncio.create_task(self._hear(each)) for each in self._listeners]

    def wake(self) -> None:
        self._news.set()

    def forget(self) -> None:
        """Begin to look: whatever happens from now on ends the next wait."""
        self._news.clear()

    async def wait(self, *, timeout_ms: float) -> None:
        """Return when there is news since `forget`, or time is up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1000):
                await self._news.wait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()

    async def _hear(self, listener: Listener) -> None:
        while True:
            if await listener.wait(timeout_ms=_LISTEN_TIMEOUT_MS):
                self._news.set()
