"""A pace: one thing after the other at a rate, by chance, and without falling behind."""

from __future__ import annotations

import asyncio
import random
import time


class Pace:
    """Waits for moments that come by chance, so many a second (a Poisson process)."""

    def __init__(self, a_second: float, rng: random.Random) -> None:
        self._a_second = a_second
        self._rng = rng
        self._next_s = time.monotonic()

    async def wait(self) -> None:
        """Wait for the next moment; one that has passed is made up for, of the last second."""
        now_s = time.monotonic()
        self._next_s = max(self._next_s, now_s - 1) + self._rng.expovariate(self._a_second)
        await asyncio.sleep(max(0.0, self._next_s - now_s))
