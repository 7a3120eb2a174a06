"""A process that stops before everything it asks of the world, until it is let go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any


class Process:
    """One task; whoever holds it decides when it takes its next step, and where it dies.

    One that has died has done what it was let do, and has heard of it or not: that is the same.
    """

    def __init__(self, work: Callable[[Process], Awaitable[None]]) -> None:
        self._stands, self._may_go = asyncio.Event(), asyncio.Event()
        self._task = asyncio.ensure_future(self._run(work))

    @property
    def has_ended(self) -> bool:
        return self._task.done()

    async def gate(self) -> None:
        """Stop until the next step."""
        self._stands.set()
        await self._may_go.wait()
        self._may_go.clear()

    async def step(self) -> None:
        """Let it go on to where it stops next, or to its end; raise what it raised."""
        if not self._stands.is_set() and not self.has_ended:
            await self._arrived()
        if not self.has_ended:
            self._stands.clear()
            self._may_go.set()
            await self._arrived()
        if self.has_ended and not self._task.cancelled():
            self._task.result()

    async def die(self) -> None:
        """End it where it stands."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self, work: Callable[[Process], Awaitable[None]]) -> None:
        await self.gate()
        await work(self)

    async def _arrived(self) -> None:
        stands = asyncio.ensure_future(self._stands.wait())
        await asyncio.wait({stands, self._task}, return_when=asyncio.FIRST_COMPLETED)
        stands.cancel()


class Gated:
    """Stands before an adapter: a process stops before each call of the methods that are named."""

    def __init__(self, adapter: Any, process: Process, *names: str, **kept: Any) -> None:
        self._adapter = adapter
        self._process = process
        self._names = frozenset(names)
        self._kept = kept

    def __getattr__(self, name: str) -> Any:
        if name in self._kept:
            return self._kept[name]
        method = getattr(self._adapter, name)
        if name not in self._names:
            return method

        async def gated(*arguments: Any, **named: Any) -> Any:
            await self._process.gate()
            return await method(*arguments, **named)

        return gated
