"""What came of a demand that was not met, as it is counted."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from slackwater import metrics


class Outcome(StrEnum):
    """What a client got in place of a fresh answer, or after waiting for one."""

    SERVED = "served"
    WAITED = "waited"
    FAILED = "failed"
    SOURCE = "source"
    NULL = "null"


def count(outcomes: Iterable[Outcome]) -> None:
    """Count outcomes."""
    for outcome in outcomes:
        metrics.STALE_READS.labels(outcome.value).inc()
