"""A cancellation is lost neither over work that must end nor in a library that swallows it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from slackwater.cancellation import end_if_cancelled, undisturbed


async def test_a_cancellation_takes_effect_after_the_work() -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await may_end.wait()
        except asyncio.CancelledError:
            return  # as a client does that swallows it
        ended.set()

    task = asyncio.create_task(undisturbed(work()))
    await begun.wait()
    task.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_the_result_and_the_error_of_the_work_are_handed_on() -> None:
    async def fails() -> None:
        raise ValueError("on purpose")

    assert await undisturbed(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(ValueError, match="on purpose"):
        await undisturbed(fails())


async def test_a_cancellation_that_was_swallowed_ends_the_loop_all_the_same() -> None:
    begun = asyncio.Event()

    async def swallow() -> None:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def loop() -> None:
        while True:
            await swallow()
            end_if_cancelled()

    task = asyncio.create_task(loop())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_deadline_that_passed_is_no_cancellation() -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()
    end_if_cancelled()
