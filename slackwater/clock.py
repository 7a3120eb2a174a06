"""Clocks as a port, so that tests turn them by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

# Linux stops CLOCK_MONOTONIC while the machine sleeps; elsewhere it goes on.
_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Two clocks of one process: one that only grows, and one that people read."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; comparable within this process only.

        It goes on while the machine sleeps: what became stale meanwhile is that much staler.
        """
        ...

    def now(self) -> datetime:
        """The wall-clock time in UTC, for display; it may jump."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        return time.clock_gettime(_MONOTONIC)

    def now(self) -> datetime:
        return datetime.now(UTC)
