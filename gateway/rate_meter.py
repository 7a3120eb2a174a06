"""Meters how many events a second each read model applies, over a short sliding window."""

from __future__ import annotations

from collections import deque

_WINDOW_S = 10.0
_SAMPLES_MAX = 256


def rebuilding(read_model: str) -> str:
    """Name the counter of the version that is being built."""
    return f"{read_model} rebuild"


class RateMeter:
    """Takes samples of a counter that only grows; bounded in memory."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[tuple[float, int]]] = {}

    def sample(self, name: str, now_s: float, count: int) -> None:
        """Record the counter; samples older than the window are dropped."""
        samples = self._samples.setdefault(name, deque(maxlen=_SAMPLES_MAX))
        samples.append((now_s, count))
        while now_s - samples[0][0] > _WINDOW_S:
            samples.popleft()

    def per_second(self, name: str) -> float:
        """Return the rate between the oldest and the newest sample of the window."""
        samples = self._samples.get(name)
        if not samples or len(samples) < 2:
            return 0.0
        (first_s, first), (last_s, last) = samples[0], samples[-1]
        return max(0.0, (last - first) / (last_s - first_s)) if last_s > first_s else 0.0
