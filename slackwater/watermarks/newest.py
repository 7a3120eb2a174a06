"""The newest watermark of each source in the log.

Newest is the one with the greatest tick: a relay that was replaced may append an older one later. A
timeline's first record precedes all its events, and a source's newest record is never trimmed. So
whoever has seen an event, and looks afterwards, finds its timeline here or a later one.
"""

from __future__ import annotations

from slackwater.event_log.port import EventLog
from slackwater.event_log.reading import read_between
from slackwater.watermarks.record import WATERMARKS, Watermark


async def newest_by_topic(log: EventLog) -> dict[str, Watermark]:
    """Return the newest watermark of the source of each topic.

    Raises:
        TransientError: the log does not give what it has.
    """
    newest = await newest_watermarks(log)
    return {topic: watermark for watermark in newest.values() for topic in watermark.topics}


async def newest_watermarks(log: EventLog) -> dict[str, Watermark]:
    """Return the newest watermark by source.

    Raises:
        TransientError: the log does not give what it has.
    """
    newest: dict[str, Watermark] = {}
    ends = await log.end_offsets([WATERMARKS.name])
    async for records in read_between(log, {}, ends):
        for record in records:
            watermark = Watermark.from_value(record.value)
            known = newest.get(watermark.source)
            if known is None or watermark.tick > known.tick:
                newest[watermark.source] = watermark
    return newest
