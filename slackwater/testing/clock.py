"""A clock that stands still until a test turns it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """Two clocks turned by hand: one that only grows, and one that may be stepped both ways."""

    def __init__(self, *, monotonic_s: float = 1_000.0, wall: datetime = _EPOCH) -> None:
        self._monotonic_s = monotonic_s
        self._wall = wall

    def monotonic(self) -> float:
        return self._monotonic_s

    def now(self) -> datetime:
        return self._wall

    def advance(self, *, ms: float) -> None:
        """Let time pass on both clocks."""
        if ms < 0:
            raise ValueError("time does not go back; use step_wall for a clock that is set")
        self._monotonic_s += ms / 1000
        self._wall += timedelta(milliseconds=ms)

    def step_wall(self, *, ms: float) -> None:
        """Set the wall clock forward or back; the monotonic clock does not notice."""
        self._wall += timedelta(milliseconds=ms)
