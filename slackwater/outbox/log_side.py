"""The log's side of a source that is led: where its events go, and the claims of its ticks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from slackwater import metrics
from slackwater.clock import Clock
from slackwater.errors import TransientError
from slackwater.event_log.port import EventLog, NewRecord, TopicPartition
from slackwater.events.cloudevents import TIMELINE_HEADER
from slackwater.outbox.lineage import Lead
from slackwater.watermarks.record import Watermark, by_topic
from slackwater.watermarks.tick import Tick

_NEVER = 2**62


class LogPutBackError(TransientError):
    """The log ends before what it had acknowledged: it was lost, or put back to an older state."""


class LogSide:
    """Publishes for whoever leads the source, in the timeline that the lead began in."""

    def __init__(
        self, source: str, *, topics: Sequence[str], lead: Lead, log: EventLog, clock: Clock
    ) -> None:
        self._source = source
        self._topics = topics
        self._timeline = lead.tick.timeline
        self._since = lead.since
        self._event_log = log
        self._clock = clock
        self.acknowledged = dict(lead.acknowledged)
        """Next offsets before which the log has everything; another mapping when they grow."""
        self.has_claimed = asyncio.Event()
        self._put_back: frozenset[TopicPartition] = frozenset()

    @property
    def remembered(self) -> dict[TopicPartition, int]:
        """What the source is to remember of it: where something was lost, an end that never comes.

        What is appended meanwhile may fill the gap up, and the log would look whole.
        """
        return self.acknowledged | dict.fromkeys(self._put_back, _NEVER)

    async def publish(self, records: Sequence[NewRecord]) -> None:
        """Append events; the log has acknowledged all of them when this returns.

        Raises:
            LogPutBackError: it had ended before what it had acknowledged (`remembered`).
        """
        places = await self._event_log.append([self._in_timeline(each) for each in records])
        for at, offset in places:
            if offset < self.acknowledged.get(at, 0):
                self._put_back |= {at}
                raise LogPutBackError(
                    f"{at.topic}[{at.partition}] goes on at {offset}, and had acknowledged all "
                    f"before {self.acknowledged[at]}: it was lost or put back"
                )
        # Another one each time: a thread may be reading the last.
        self.acknowledged = {**self.acknowledged, **{at: offset + 1 for at, offset in places}}
        metrics.RELAY_BATCHES.labels(self._source).inc()
        metrics.RELAY_EVENTS.labels(self._source).inc(len(records))

    async def claim(self, tick: Tick) -> None:
        """Claim that everything visible before the tick lies before the log's present ends."""
        # Read after the snapshot: nothing that an earlier leader appended late lies behind them.
        ends = await self._event_log.end_offsets(self._topics)
        # A broker that was replaced may answer with an old end; what was acknowledged lies before
        # the true one, also of what our predecessors have appended.
        ends = {at: max(end, self.acknowledged.get(at, 0)) for at, end in ends.items()}
        self.acknowledged = {**self.acknowledged, **ends}
        watermark = Watermark(
            source=self._source,
            timeline=self._timeline,
            epoch=tick.epoch,
            n=tick.n,
            clock=self._clock.now(),
            offsets=by_topic(ends, self._topics),
            since=self._since,
        )
        await self._event_log.append([watermark.to_record()])
        metrics.RELAY_TICKS.labels(self._source).inc()
        self.has_claimed.set()

    def _in_timeline(self, record: NewRecord) -> NewRecord:
        return replace(record, headers={**record.headers, TIMELINE_HEADER: self._timeline})
