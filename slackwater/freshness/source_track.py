"""What a process knows of one source: the watermarks emitted, and the probes answered.

A probe asked at instant m and answered with tick n. Whoever has reached a tick greater than n
(equal is not enough: the answer may have been read after tick n and before the next) reflects
everything that was visible at m. All of it holds within one timeline: that of the newest watermark.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping
from typing import TypeVar

from slackwater.event_log.port import OnePartition, TopicPartition
from slackwater.freshness.bound import Instant
from slackwater.watermarks.record import Watermark
from slackwater.watermarks.tick import Tick

_KEPT_MAX = 4_096
_T = TypeVar("_T")


class SourceTrack:
    """Bounded histories; when full, every second entry of the older half goes.

    A missing entry loosens bounds and never makes them wrong.
    """

    def __init__(self) -> None:
        self._ticks: list[Tick] = []
        self._watermarks: list[Watermark] = []
        self._received_s: list[float] = []
        self._probed_ticks: list[Tick] = []
        self._probed_at: list[Instant] = []

    @property
    def newest_watermark(self) -> Watermark | None:
        return self._watermarks[-1] if self._watermarks else None

    @property
    def newest_probe(self) -> Instant | None:
        return self._probed_at[-1] if self._probed_at else None

    @property
    def newest_tick(self) -> Tick | None:
        """The greatest tick known to have been committed."""
        ticks = self._ticks[-1:] + self._probed_ticks[-1:]
        return max(ticks, default=None)

    @property
    def newest_received_s(self) -> float | None:
        """When the newest watermark came, on the clock of the probes."""
        return self._received_s[-1] if self._received_s else None

    def add_watermark(self, watermark: Watermark, received_s: float = math.inf) -> None:
        """Remember a watermark; one that is not newer than the newest says nothing new.

        The first one of another timeline ends what was known: of the new one it proves nothing.
        """
        if self._ticks and watermark.tick <= self._ticks[-1]:
            return
        if self._ticks and watermark.timeline != self._ticks[-1].timeline:
            self._ticks, self._watermarks, self._received_s = [], [], []
        if self._probed_ticks and watermark.timeline != self._probed_ticks[-1].timeline:
            self._probed_ticks, self._probed_at = [], []
        self._ticks.append(watermark.tick)
        self._watermarks.append(watermark)
        self._received_s.append(received_s)
        if len(self._ticks) > _KEPT_MAX:
            self._ticks, self._watermarks = _thinned(self._ticks), _thinned(self._watermarks)
            self._received_s = _thinned(self._received_s)

    def add_probe(self, tick: Tick, sent: Instant) -> bool:
        """Remember an answer; refuse one that proves nothing (False).

        It is of another timeline than the watermarks, or goes back: ticks not on disk were lost, or
        the source was restored, which its relay will find. Until then what it commits is unknown
        to the log, and an answer below a tick that was on disk when it was asked tells of that.
        """
        on_disk = self._tick_known_at(sent.monotonic_s)
        if on_disk is not None and tick < on_disk:
            return False
        if self._ticks and tick.timeline != self._ticks[-1].timeline:
            return False
        newest = self._probed_ticks[-1] if self._probed_ticks else None
        if newest is not None and tick.timeline != newest.timeline:
            self._probed_ticks, self._probed_at, newest = [], [], None
        if newest is not None and tick < newest:
            return False
        if tick == newest:
            # The later the question, the better the same answer; answers may overtake one another.
            self._probed_at[-1] = max(self._probed_at[-1], sent, key=_monotonic_s)
            return True
        self._probed_ticks.append(tick)
        self._probed_at.append(sent)
        if len(self._probed_ticks) > _KEPT_MAX:
            self._probed_ticks = _thinned(self._probed_ticks)
            self._probed_at = _thinned(self._probed_at)
        return True

    def _tick_known_at(self, monotonic_s: float) -> Tick | None:
        """Return the newest tick whose watermark had come before an instant.

        A watermark tells of a tick that is on disk.
        """
        at = bisect_left(self._received_s, monotonic_s)
        return self._ticks[at - 1] if at else None

    def reached(
        self,
        positions: Mapping[TopicPartition, int],
        topics: Collection[str],
        *,
        timelines: Mapping[TopicPartition, str] | None = None,
        since: Tick | None = None,
    ) -> Tick | None:
        """Return the newest tick whose watermark `positions` cover; at least `since`.

        None while a position is of another timeline (`timelines`) than the watermarks.
        """
        if self.has_parted(positions, topics, timelines=timelines or {}):
            return None
        if since is not None and self._ticks and since.timeline != self._ticks[-1].timeline:
            since = None
        at = 0 if since is None else bisect_right(self._ticks, since)
        reached = since
        for tick, watermark in zip(self._ticks[at:], self._watermarks[at:], strict=True):
            if not watermark.offsets.keys() >= set(topics):
                continue  # from before the topic existed: it says nothing of it
            if not watermark.is_reached_by(positions, topics):
                break
            reached = tick
        return reached

    def reached_in(
        self,
        positions: Mapping[TopicPartition, int],
        topics: Collection[str],
        only: Mapping[str, OnePartition],
        *,
        since: Tick | None,
    ) -> Tick | None:
        """Return a tick that is reached if only some partitions count; at least `since`.

        Each watermark proves its tick by itself, so the newest one is looked for by halving: where
        offsets went back (a restored log) an earlier one may be found, which is no less true. All
        positions must be of the watermarks' timeline (`has_parted`).
        """
        if since is not None and self._ticks and since.timeline != self._ticks[-1].timeline:
            since = None
        low = 0 if since is None else bisect_right(self._ticks, since)
        high, wanted = len(self._ticks), set(topics)
        while low < high:
            middle = (low + high) // 2
            watermark = self._watermarks[middle]
            if watermark.offsets.keys() >= wanted and watermark.is_reached_by(
                positions, topics, only
            ):
                since, low = watermark.tick, middle + 1
            else:
                high = middle
        return since

    def has_parted(
        self,
        positions: Mapping[TopicPartition, int],
        topics: Collection[str],
        *,
        timelines: Mapping[TopicPartition, str],
    ) -> bool:
        """Tell whether some position counts in another timeline than the watermarks."""
        newest = self.newest_watermark
        return newest is not None and not newest.is_followed(positions, timelines, topics)

    def proven(self, reached: Tick) -> Instant | None:
        """Return the newest instant at which a probe was answered with a tick before `reached`."""
        at = bisect_left(self._probed_ticks, reached)
        return self._probed_at[at - 1] if at else None


def _monotonic_s(instant: Instant) -> float:
    return instant.monotonic_s


def _thinned(entries: list[_T]) -> list[_T]:
    half = len(entries) // 2
    return entries[:half:2] + entries[half:]
