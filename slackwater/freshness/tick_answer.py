"""What a source answers to a probe."""

from __future__ import annotations

import msgspec


class TickAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a source answers: its tick, and how many events wait for publishing, up to a limit."""

    source: str
    epoch: int
    n: int
    timeline: str
    pending_events: int
