"""Reads a part of the log once, from given offsets up to given ends, without any group."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence

from slackwater.errors import TransientError
from slackwater.event_log.port import Assignment, EventLog, Record, TopicPartition

_BATCH_MAX = 1_000
_POLL_TIMEOUT_MS = 500
_SILENCE_MAX_S = 10.0


async def read_between(
    log: EventLog, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncIterator[Sequence[Record]]:
    """Yield the records from `starts` (missing: 0) up to `ends`, which must have been its ends.

    Of partitions without an end nothing is wanted.

    Raises:
        TransientError: the log gives nothing for some seconds.
    """
    left = {at: end for at, end in ends.items() if starts.get(at, 0) < end}
    if not left:
        return
    subscription = await log.subscribe(sorted({at.topic for at in left}), group=None)
    try:
        heard_s = time.monotonic()
        while left:
            polled = await subscription.poll(max_records=_BATCH_MAX, timeout_ms=_POLL_TIMEOUT_MS)
            if isinstance(polled, Assignment):
                await subscription.seek({at: starts.get(at, 0) for at in polled.partitions})
            elif wanted := [
                each for each in polled if each.offset < ends.get(each.topic_partition, 0)
            ]:
                heard_s = time.monotonic()
                yield wanted
                behind = {each.topic_partition: each.offset + 1 for each in wanted}
                left = {at: end for at, end in left.items() if behind.get(at, 0) < end}
            elif time.monotonic() - heard_s > _SILENCE_MAX_S:
                raise TransientError(
                    f"the log gives nothing of {sorted(left)}; see that it answers, and try again"
                )
    finally:
        await subscription.close()
