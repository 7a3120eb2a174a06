"""The stage that limits a bound: the one in which most of it passes.

    now ──PROBE──► probed ──OUTBOX, LOG──► claimed ──PROJECTOR──► written ──REFRESH──► proven

Each arrow leads to what would be proven if the way ended there: by the newest answer of the source,
by the newest watermark, by what a read model has written, and by what it shows. The greatest step
back in time is where a bound could gain most.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from slackwater.watermarks.tick import Tick

_TICKS_UNDER_WAY = 2
_HEARTBEATS_OF_A_CLAIM = 2


class FreshnessLimit(StrEnum):
    """The stage that keeps a bound from being smaller."""

    OUTBOX = "OUTBOX"
    LOG = "LOG"
    PROJECTOR = "PROJECTOR"
    REFRESH = "REFRESH"
    HOLE = "HOLE"
    PROBE = "PROBE"


class Stages(msgspec.Struct, frozen=True, kw_only=True):
    """How far the way from a source to a read model has come, on the clock of the probes.

    `probed_s` is when the source was asked last; `claimed_s` and `written_s` are the instants that
    the newest watermark, and what is written, would prove. `relaying` is what stands between
    `probed_s` and `claimed_s`: OUTBOX or LOG. `has_hole` tells that the read model was halted, or
    that something of it is parked.
    """

    probed_s: float | None
    claimed_s: float | None
    written_s: float | None
    relaying: FreshnessLimit
    has_hole: bool
    heartbeat_s: float

    def limit(self, proven_s: float | None, now_s: float) -> FreshnessLimit:
        """Name the stage in which most of the bound passes; the first one that nothing has passed.

        A tick that is greater than the probe's takes two heartbeats while nothing happens: those
        are not the relay's. So in a system at rest it is PROBE.
        """
        if self.has_hole:
            return FreshnessLimit.HOLE
        waited = _HEARTBEATS_OF_A_CLAIM * self.heartbeat_s
        steps = (
            (FreshnessLimit.PROBE, self.probed_s, 0.0),
            (self.relaying, self.claimed_s, waited),
            (FreshnessLimit.PROJECTOR, _later(self.written_s, proven_s), 0.0),
            (FreshnessLimit.REFRESH, proven_s, 0.0),
        )
        limiting, longest_s, since_s = FreshnessLimit.PROBE, 0.0, now_s
        for stage, passed_s, usual_s in steps:
            if passed_s is None:
                return stage
            if since_s - passed_s - usual_s > longest_s:
                limiting, longest_s = stage, since_s - passed_s - usual_s
            since_s = min(since_s, passed_s)
        return limiting


def _later(written_s: float | None, proven_s: float | None) -> float | None:
    """Return the later one: of one key more may be shown than is written of all."""
    known = [instant_s for instant_s in (written_s, proven_s) if instant_s is not None]
    return max(known, default=None)


def relaying(newest: Tick | None, claimed: Tick | None, pending_events: int) -> FreshnessLimit:
    """Tell what keeps the source's newest tick from being claimed: its outbox, or the log.

    A relay raises a tick only after the log has taken the watermark of the one before. So ticks
    that go on without their watermarks are lost on the way through the log; a tick that stands
    still, or events that wait for a relay that has just begun, mean the outbox.
    """
    if newest is None or newest.n == 0:
        return FreshnessLimit.OUTBOX
    if claimed is None or newest.epoch > claimed.epoch:
        return FreshnessLimit.OUTBOX if pending_events else FreshnessLimit.LOG
    is_under_way = newest.n > claimed.n + _TICKS_UNDER_WAY
    return FreshnessLimit.LOG if is_under_way else FreshnessLimit.OUTBOX
