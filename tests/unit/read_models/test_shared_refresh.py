"""Shared refreshes: each begins after its callers came, and they are kept apart."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from slackwater.errors import TransientError
from slackwater.read_models.elasticsearch_refresh import SharedRefresh


class _Engine:
    """Counts refreshes; each runs until it is let go."""

    def __init__(self) -> None:
        self.begun_at_s: list[float] = []
        self.ended = 0
        self.running = 0
        self.began = asyncio.Condition()
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def refresh(self) -> str:
        self.begun_at_s.append(asyncio.get_running_loop().time())
        self.running += 1
        assert self.running == 1
        async with self.began:
            self.began.notify_all()
        try:
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            return f"stamp {len(self.begun_at_s)}"
        finally:
            self.running -= 1
            self.ended += 1

    async def has_begun(self, count: int) -> None:
        async with asyncio.timeout(5), self.began:
            await self.began.wait_for(lambda: len(self.begun_at_s) >= count)


async def test_who_comes_while_one_runs_waits_for_the_next() -> None:
    engine = _Engine()
    shared = SharedRefresh(engine.refresh, interval_ms=0)
    engine.gate.clear()
    first = asyncio.create_task(shared.wait())
    await engine.has_begun(1)
    late = [asyncio.create_task(shared.wait()) for _ in range(5)]
    engine.gate.set()
    stamps = await asyncio.gather(first, *late)
    assert engine.ended == 2
    assert stamps == ["stamp 1", *5 * ["stamp 2"]]


async def test_beginnings_are_an_interval_apart() -> None:
    engine = _Engine()
    shared = SharedRefresh(engine.refresh, interval_ms=30)
    for _ in range(4):
        await shared.wait()
    gaps = [later - sooner for sooner, later in pairwise(engine.begun_at_s)]
    assert min(gaps) >= 0.03


async def test_all_who_wait_hear_of_the_failure_and_the_next_one_tries_again() -> None:
    engine = _Engine()
    engine.error = TransientError("away; try again")
    shared = SharedRefresh(engine.refresh, interval_ms=0)
    results = await asyncio.gather(*(shared.wait() for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [TransientError] * 3
    engine.error = None
    await shared.wait()
    assert engine.ended == 2


async def test_a_caller_that_gives_up_takes_the_refresh_from_nobody() -> None:
    engine = _Engine()
    shared = SharedRefresh(engine.refresh, interval_ms=0)
    engine.gate.clear()
    impatient, patient = (asyncio.create_task(shared.wait()) for _ in range(2))
    await engine.has_begun(1)
    impatient.cancel()
    engine.gate.set()
    await patient
    assert engine.ended == 1


async def test_closing_gives_up_what_waits() -> None:
    engine = _Engine()
    shared = SharedRefresh(engine.refresh, interval_ms=60_000)
    await shared.wait()
    waiting = asyncio.create_task(shared.wait())
    await asyncio.sleep(0)
    await shared.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert engine.ended == 1
