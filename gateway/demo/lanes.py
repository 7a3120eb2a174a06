"""Lanes: many things done a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

LANES = 8

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


async def in_lanes(
    items: Sequence[ItemT], do: Callable[[ItemT], Awaitable[ResultT]]
) -> list[ResultT]:
    """Do something for every item, at most eight at once; return the results in order.

    Raises:
        ExceptionGroup: one failed; the others were cancelled.
    """
    results: dict[int, ResultT] = {}
    left = iter(enumerate(items))

    async def lane() -> None:
        for index, item in left:
            results[index] = await do(item)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(LANES, len(items))):
            tasks.create_task(lane())
    return [results[index] for index in range(len(items))]


def in_batches(items: Sequence[ItemT], size_max: int) -> list[Sequence[ItemT]]:
    """Cut a sequence into pieces of at most `size_max`."""
    return [items[start : start + size_max] for start in range(0, len(items), size_max)]
