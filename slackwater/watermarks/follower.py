"""Follows the topic of watermarks and hands each batch on, for ever.

A follower keeps no position: a process that starts reads what is retained. Lost retention only
means that older watermarks are gone, and the newest one says more than they did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slackwater.event_log.port import Assignment, EventLog, Record
from slackwater.watermarks.record import WATERMARKS, Watermark

_BATCH_MAX = 1_000
_POLL_TIMEOUT_MS = 1_000


async def follow_watermarks(log: EventLog, take: Callable[[Sequence[Watermark]], None]) -> None:
    """Call `take` with every watermark, in order, until cancelled."""
    subscription = await log.subscribe([WATERMARKS.name], group=None)
    try:
        while True:
            polled = await subscription.poll(max_records=_BATCH_MAX, timeout_ms=_POLL_TIMEOUT_MS)
            if isinstance(polled, Assignment):
                await subscription.seek({})
            elif polled:
                take(_decoded(polled))
    finally:
        await subscription.close()


def _decoded(records: Sequence[Record]) -> list[Watermark]:
    return [Watermark.from_value(record.value) for record in records]
