"""Stages of a long piece of work, watched from outside at a rate that people can read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine

import msgspec

from slackwater.gateway import DemoProgress

_WATCH_INTERVAL_S = 1.0


class Stage(msgspec.Struct, kw_only=True):
    """What is being done, and how much of it is done; `waits_for` says why it stands still."""

    label: str
    total: int
    done: int = 0
    waits_for: str | None = None

    def progress(self, trouble: str | None = None) -> DemoProgress:
        """Return the progress now; `trouble` is somebody else's reason for standing still."""
        waits_for = trouble or self.waits_for
        label = f"{self.label} (waiting for {waits_for})" if waits_for else self.label
        return DemoProgress(label=label, done=self.done, total=self.total)


async def watch(
    work: Coroutine[object, object, None], progress: Callable[[], DemoProgress]
) -> AsyncGenerator[DemoProgress, None]:
    """Run `work` and yield its progress once a second until it ends.

    Closing the iterator cancels the work and waits until it has stopped.
    """
    working = asyncio.ensure_future(work)
    try:
        while not working.done():
            await asyncio.wait([working], timeout=_WATCH_INTERVAL_S)
            if not working.done():
                yield progress()
        await working
    finally:
        working.cancel()
        await asyncio.wait([working])
