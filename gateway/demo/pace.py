"""The pace of seeding: never so fast that whoever uses the store meanwhile has to wait.

Turns come at an even rate, at most `rate_max` a second. Slow answers lower the rate by a tenth
each, quick ones raise it by a fixed step, as TCP does with congestion.
"""

from __future__ import annotations

import asyncio
import time

_SLOW_S = 0.15
_SLOWER = 0.9
_FASTER_SHARE = 0.01
_RATE_MIN = 10.0


class Pace:
    """Gives out turns and learns from how long they took."""

    def __init__(self, rate_max: float) -> None:
        self._rate_max = rate_max
        self.rate = rate_max
        self._next_s = 0.0

    async def turn(self) -> None:
        """Wait for the next turn; time that nobody used is not saved up."""
        now_s = time.monotonic()
        self._next_s = max(self._next_s, now_s) + 1 / self.rate
        await asyncio.sleep(self._next_s - 1 / self.rate - now_s)

    def answered(self, took_s: float) -> None:
        """Learn how long an answer took."""
        if took_s > _SLOW_S:
            self.rate = max(min(_RATE_MIN, self._rate_max), self.rate * _SLOWER)
        else:
            self.rate = min(self._rate_max, self.rate + self._rate_max * _FASTER_SHARE)

    def give_back(self) -> None:
        """Free a turn whose command had been done before and cost next to nothing."""
        self._next_s -= 1 / self.rate
