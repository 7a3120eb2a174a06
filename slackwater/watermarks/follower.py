"""Follows the topic of watermarks and hands each batch on, for ever.

A follower keeps no position: a process that starts reads what is retained. One that is slow skips
what was trimmed meanwhile: the newest watermark of a source stays, and says more than they did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from slackwater.backoff import backoff
from slackwater.cancellation import end_if_cancelled
from slackwater.errors import TransientError
from slackwater.event_log.port import Assignment, EventLog, Record
from slackwater.logs import logger
from slackwater.watermarks.record import WATERMARKS, Watermark

_BATCH_MAX = 1_000
_POLL_TIMEOUT_MS = 1_000
_BACKOFF_FIRST_S = 0.05
_BACKOFF_MAX_S = 1.0
_log = logger("watermarks")


async def follow_watermarks(log: EventLog, take: Callable[[Sequence[Watermark]], None]) -> None:
    """Call `take` with every watermark, in order, until cancelled; begin again after trouble."""
    for delay_s in backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S):
        try:
            await _follow(log, take)
        except TransientError as error:
            _log.warning("watermarks cannot be read", reason=str(error), in_s=delay_s)
            await asyncio.sleep(delay_s)


async def _follow(log: EventLog, take: Callable[[Sequence[Watermark]], None]) -> None:
    subscription = await log.subscribe([WATERMARKS.name], group=None)
    try:
        while True:
            polled = await subscription.poll(max_records=_BATCH_MAX, timeout_ms=_POLL_TIMEOUT_MS)
            if isinstance(polled, Assignment):
                await subscription.seek({})
            elif polled:
                take(_decoded(polled))
            end_if_cancelled()
    finally:
        await subscription.close()


def _decoded(records: Sequence[Record]) -> list[Watermark]:
    return [Watermark.from_value(record.value) for record in records]
