"""The cleaner of a source: removes published events after a retention, beside whoever leads.

Batches are small and pauses long, so that what is committed meanwhile waits for one batch at most,
and there is room for the leader's own work. An event that is not marked as published is never
removed, however old it is; nothing is removed before the leader's first claim.

Ages are told by clocks that may be wrong. What is removed too early is missed by nobody: whether it
was published does not depend on a clock, and where the history must be published again it is taken
back from the log (`slackwater.outbox.refill`).
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from sqlalchemy import Connection

from slackwater import metrics
from slackwater.cancellation import end_if_cancelled
from slackwater.clock import Clock
from slackwater.database.port import LostLeaseError, Session
from slackwater.errors import TransientError
from slackwater.logs import logger
from slackwater.outbox.leader import Leader
from slackwater.outbox.removal import removable
from slackwater.outbox.tables import KernelTables

_BATCH_MAX = 200
_IDLE_INTERVAL_S = 5.0
_PAUSE_MIN_S = 0.02
_PAUSE_RATIO = 4  # of the time that a batch took: cleaning takes a fifth of it at most
_FROM_THE_START = -(2**63)
_IDLE_LOOKS_PER_ROUND = 60
_log = logger("relay")


class Cleaner:
    """Removes events of one source while its `leader` leads."""

    def __init__(
        self,
        source: str,
        *,
        tables: KernelTables,
        session: Session,
        leader: Leader,
        clock: Clock,
        retention_s: float,
    ) -> None:
        self._source = source
        self._events = tables.events
        self._session = session
        self._leader = leader
        self._clock = clock
        self._retention = timedelta(seconds=retention_s)
        self._after = _FROM_THE_START
        self._idle_looks = 0

    async def run(self) -> None:
        """Remove whatever is old enough, without end.

        Raises:
            FencedError: another relay has taken the lead.
        """
        await self._leader.log_side.has_claimed.wait()
        while True:
            began_s = time.monotonic()
            removed = await self._try_step()
            took_s = time.monotonic() - began_s
            pause_s = max(_PAUSE_MIN_S, _PAUSE_RATIO * took_s)
            await asyncio.sleep(pause_s if removed else _IDLE_INTERVAL_S)
            end_if_cancelled()

    async def _try_step(self) -> int:
        """Remove one batch if that can be done now; what cannot be removed holds up no event."""
        try:
            return await self.step()
        except LostLeaseError:
            raise
        except TransientError as error:
            _log.warning("nothing is removed now", source=self._source, reason=str(error))
            return 0

    async def step(self) -> int:
        """Remove one batch, and return how many events that were.

        Raises:
            FencedError: another relay has taken the lead.
        """
        after = self._next_start()
        positions = await self._session.read(lambda connection: self._look(connection, after))
        if not positions:
            self._idle_looks += 1
            return 0
        removed = await self._session.transact(
            lambda connection: self._leader.remove(connection, positions)
        )
        self._after = positions[-1]
        metrics.RELAY_REMOVED.labels(self._source).inc(removed)
        return removed

    def _next_start(self) -> int:
        """Return the position behind which to look; of a smaller one a row may be visible late.

        From the start we look but now and then: as long as an old snapshot is open, PostgreSQL goes
        through all that was removed.
        """
        if self._idle_looks < _IDLE_LOOKS_PER_ROUND:
            return self._after
        self._idle_looks = 0
        return _FROM_THE_START

    def _look(self, connection: Connection, after: int) -> list[int]:
        before = self._clock.now() - self._retention
        return removable(connection, self._events, after=after, before=before, limit=_BATCH_MAX)
