"""How long to wait before the next try."""

from __future__ import annotations

import random
from collections.abc import Iterator


def backoff(*, first_s: float, max_s: float) -> Iterator[float]:
    """Yield waiting times in seconds for ever: doubling up to a bound, each with jitter."""
    delay_s = first_s
    while True:
        yield delay_s * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, no secret
        delay_s = min(delay_s * 2, max_s)
