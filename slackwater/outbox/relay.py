"""The relay of a source: stands by until nobody leads, then leads until it is replaced or cut off.

    wait for the lease ──► begin an epoch ──► step, wait for news, step … ──┐
         ▲                                                                  │
         └────── fenced, or database or log in trouble: leave the tick ◄────┘

The lease lets one of several relays work and the others wait; it may be lost without its holder
knowing, so what keeps the claims true is the epoch (`slackwater.outbox.leader`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from slackwater.backoff import backoff
from slackwater.cancellation import end_if_cancelled
from slackwater.clock import Clock, SystemClock
from slackwater.database.port import Database, Session
from slackwater.doorbell import Doorbell
from slackwater.errors import FencedError, TransientError
from slackwater.event_log.port import EventLog
from slackwater.logs import logger
from slackwater.outbox.leader import Leader
from slackwater.outbox.tables import KernelTables

_ROLE = "relay"
_BACKOFF_FIRST_S = 0.1
_BACKOFF_MAX_S = 2.0
_STEADY_S = 10.0
_IDLE_HEARTBEATS = 1.5
_log = logger("relay")


def outbox_bell(source: str) -> str:
    """The name of the bell that rings when a source has committed events."""
    return f"outbox/{source}"


class Relay:
    """One of the relays of a source, of which one leads."""

    def __init__(
        self,
        source: str,
        *,
        topics: Sequence[str],
        tables: KernelTables,
        database: Database,
        log: EventLog,
        doorbell: Doorbell,
        heartbeat_ms: int = 100,
        tick_interval_min_ms: int = 20,
        clock: Clock | None = None,
    ) -> None:
        self._source = source
        self._topics = topics
        self._tables = tables
        self._database = database
        self._event_log = log
        self._doorbell = doorbell
        self._tick_interval_min_s = tick_interval_min_ms / 1000
        # Longer than a heartbeat: who asks once a heartbeat wakes it, and that one tick will do.
        self._idle_ms = round(_IDLE_HEARTBEATS * heartbeat_ms)
        self._clock = clock or SystemClock()

    async def run(self) -> None:
        """Relay whenever nobody else does, until cancelled."""
        while True:
            began_s = self._clock.monotonic()
            delays_s = backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S)
            while self._clock.monotonic() - began_s < _STEADY_S:
                began_s = self._clock.monotonic()
                await self._stand_by_and_lead(next(delays_s))

    async def _stand_by_and_lead(self, delay_s: float) -> None:
        """Lead until it ends in trouble that passes, then let some time pass."""
        try:
            async with self._database.lease(_ROLE) as session:
                await self._lead(self.leader(session))
        except (FencedError, TransientError) as error:
            _log.warning("relay stands by", source=self._source, reason=str(error), for_s=delay_s)
            await asyncio.sleep(delay_s)

    def leader(self, session: Session) -> Leader:
        """Return what leads while `session` lasts."""
        return Leader(
            self._source,
            topics=self._topics,
            tables=self._tables,
            session=session,
            log=self._event_log,
            clock=self._clock,
        )

    async def _lead(self, leader: Leader) -> None:
        await leader.take_lead()
        listener = self._doorbell.listen(outbox_bell(self._source))
        try:
            while True:
                published = await leader.step()
                await asyncio.sleep(self._tick_interval_min_s)  # however often the bell rings
                if not published:  # a tick after a batch lets waiting readers go on at once
                    await listener.wait(timeout_ms=self._idle_ms)
                end_if_cancelled()
        finally:
            listener.close()
