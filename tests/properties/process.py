"""A process that stops before everything it asks of the world, until it is let go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

_TURNS = 20
"""Of the loop, until all that waits for nothing from outside has come to its next stop."""


class _Gate:
    """Where one at a time stops until it may go on."""

    def __init__(self) -> None:
        self.stands, self._may_go, self.has_done = (asyncio.Event() for _ in range(3))

    async def pass_through(self) -> None:
        self.stands.set()
        await self._may_go.wait()
        self._may_go.clear()

    def open(self) -> None:
        self.stands.clear()
        self.has_done.clear()
        self._may_go.set()


class Process:
    """One task; whoever holds it decides when it takes its next step, and where it dies.

    One that has died has done what it was let do, and has heard of it or not: that is the same.
    What it lets go on beside itself has steps of its own, if it `stops_beside`.
    """

    def __init__(
        self, work: Callable[[Process], Awaitable[None]], *, stops_beside: bool = False
    ) -> None:
        self._gate, self._beside = _Gate(), _Gate() if stops_beside else None
        self._task = asyncio.ensure_future(self._run(work))

    @property
    def has_ended(self) -> bool:
        return self._task.done()

    async def gate(self) -> None:
        """Stop until the next step."""
        await self._gate.pass_through()

    @contextlib.asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Stop before something is asked."""
        if asyncio.current_task() is self._task:
            await self.gate()
            yield
        elif self._beside is None:
            yield
        else:
            await self._beside.pass_through()
            try:
                yield
            finally:
                self._beside.has_done.set()

    async def step(self) -> None:
        """Let it go on to where it stops next, or to its end; raise what it raised."""
        if not self._gate.stands.is_set() and not self.has_ended:
            await self._arrived()
        if not self.has_ended:
            self._gate.open()
            await self._arrived()
        if self.has_ended and not self._task.cancelled():
            self._task.result()

    async def step_beside(self) -> None:
        """Let what goes on beside it ask the next thing, if there is one."""
        assert self._beside is not None, "it stops for nothing beside itself"
        await _let_others_run()
        if self._beside.stands.is_set():
            self._beside.open()
            await self._beside.has_done.wait()
            await _let_others_run()

    async def die(self) -> None:
        """End it where it stands."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self, work: Callable[[Process], Awaitable[None]]) -> None:
        await self.gate()
        await work(self)

    async def _arrived(self) -> None:
        stands = asyncio.ensure_future(self._gate.stands.wait())
        await asyncio.wait({stands, self._task}, return_when=asyncio.FIRST_COMPLETED)
        stands.cancel()


async def _let_others_run() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class Gated:
    """Stands before an adapter: a process stops before each call of the methods that are named."""

    def __init__(
        self, adapter: Any, process: Process, *names: str, late: Collection[str] = (), **kept: Any
    ) -> None:
        """Of what is named in `late`, the answer is stopped for, too."""
        self._adapter = adapter
        self._process = process
        self._names = frozenset(names)
        self._late = late
        self._kept = kept

    def __getattr__(self, name: str) -> Any:
        if name in self._kept:
            return self._kept[name]
        method = getattr(self._adapter, name)
        if name not in self._names:
            return method

        async def gated(*arguments: Any, **named: Any) -> Any:
            async with self._process.asking():
                answer = await method(*arguments, **named)
            if name in self._late:
                async with self._process.asking():
                    return answer
            return answer

        return gated
