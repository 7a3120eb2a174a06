"""Cancellations that take effect late, or that a library has swallowed, and must not be lost.

A client that catches the cancellation of its own background task catches that of its caller, too.
Whoever was told to end would then go on for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def undisturbed(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end in a task of its own; a cancellation takes effect after it.

    `work` must have a deadline of its own.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def end_if_cancelled() -> None:
    """Raise the cancellation of this task that something below has swallowed.

    Loops that run until they are cancelled call this once a turn.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def until_one_fails(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Run tasks until one fails, end the others, and raise what it raised.

    A task group would leave its own cancellation of this task pending (Python 3.11).
    """
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
