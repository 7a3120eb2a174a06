"""Counters whose relay removes events as soon as they are published."""

from __future__ import annotations

from slackwater.event_log.port import EventLog
from slackwater.outbox import cleaner
from slackwater.outbox.relay import Relay
from slackwater.testing.relay_contract import Source

cleaner._IDLE_INTERVAL_S = 0.05  # also in the processes of relays that are killed


class CleanedSource(Source):
    """Keeps nothing that is published."""

    keeps_events = False

    def relay(
        self,
        *,
        log: EventLog | None = None,
        heartbeat_ms: int = 100,
        retention_s: float | None = 0,
    ) -> Relay:
        return super().relay(log=log, heartbeat_ms=heartbeat_ms, retention_s=retention_s)
