"""How long to wait before a part that died is started again."""

from __future__ import annotations

import time

_FIRST_S = 0.2
_MAX_S = 10.0
_STEADY_S = 30.0


class Backoff:
    """Doubles with each death, up to a bound; starts anew after a steady run."""

    def __init__(self) -> None:
        self._delay_s = _FIRST_S
        self._started_s = time.monotonic()

    def started(self) -> None:
        self._started_s = time.monotonic()

    def next_delay_s(self) -> float:
        """Return how long to wait now that the part has died."""
        if time.monotonic() - self._started_s > _STEADY_S:
            self._delay_s = _FIRST_S
        delay_s, self._delay_s = self._delay_s, min(self._delay_s * 2, _MAX_S)
        return delay_s
