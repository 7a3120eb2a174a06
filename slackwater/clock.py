"""Clocks as a port, so that tests turn them by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two clocks of one process: one that only grows, and one that people read."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; comparable within this process only."""
        ...

    def now(self) -> datetime:
        """The wall-clock time in UTC, for display; it may jump."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)
