"""What the Kafka client logs, in our log: warnings only, and the same one at most once a minute.

While a broker is away the client says so at every try, ten times a second and more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from slackwater.logs import logger

_INTERVAL_S = 60.0
_TEMPLATES_MAX = 1_000

_log = logger("kafka client")


class OncePerInterval(logging.Filter):
    """Lets one record of each kind through, and the next only after the interval."""

    def __init__(
        self, interval_s: float, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._interval_s = interval_s
        self._monotonic_s = monotonic_s
        self._passed_s: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now_s = (record.name, str(record.msg)), self._monotonic_s()
        if now_s - self._passed_s.get(kind, -self._interval_s) < self._interval_s:
            return False
        if len(self._passed_s) >= _TEMPLATES_MAX:
            self._passed_s.clear()
        self._passed_s[kind] = now_s
        return True


class ToOurLog(logging.Handler):
    """Hands records of the standard logging on to ours."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        _log.warning(record.getMessage(), **({"reason": repr(error)} if error else {}))


def take_over_client_logs() -> None:
    """Route the client's logs; calling it again changes nothing."""
    client = logging.getLogger("aiokafka")
    if any(isinstance(handler, ToOurLog) for handler in client.handlers):
        return
    handler = ToOurLog(logging.WARNING)
    handler.addFilter(OncePerInterval(_INTERVAL_S))
    client.addHandler(handler)
    client.setLevel(logging.WARNING)
    client.propagate = False
