"""The relay of a source: looks for what is unpublished whenever a bell rings or a heartbeat passes.

One of several leads (`slackwater.outbox.turns`): it takes the lead, then makes step after step
(`slackwater.outbox.leader`) until it is replaced or cut off. Beside that it removes what is
published and older than a retention, where there is one (`slackwater.outbox.cleaner`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from slackwater.cancellation import end_if_cancelled, until_one_fails
from slackwater.clock import Clock, SystemClock
from slackwater.database.port import Database, Session
from slackwater.doorbell import Doorbell
from slackwater.event_log.port import EventLog
from slackwater.outbox.backlog import keep_metering
from slackwater.outbox.cleaner import Cleaner
from slackwater.outbox.leader import Leader
from slackwater.outbox.mined import MinedState, check_change, read_mined
from slackwater.outbox.publishing import Publishing
from slackwater.outbox.tables import KernelTables, is_numbered
from slackwater.outbox.turns import take_turns

_IDLE_HEARTBEATS = 1.5
_REST = 0.25
_REST_MIN_S = 0.005
_REST_MAX_S = 0.02


def outbox_bell(source: str) -> str:
    """The name of the bell that rings when a source has committed events."""
    return f"outbox/{source}"


def numbers_bell(source: str) -> str:
    """The name of the bell that rings when further events of a source have their numbers."""
    return f"numbers/{source}"


class Relay:
    """One of the relays of a source, of which one leads."""

    way = Publishing.OUTBOX
    """The way of publishing that it follows."""

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
        retention_s: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`retention_s` bounds for how long published events stay; None keeps them for ever."""
        self._source = source
        self._topics = topics
        self._tables = tables
        self._database = database
        self._event_log = log
        self._doorbell = doorbell
        # Longer than a heartbeat: who asks once a heartbeat wakes it, and that one tick will do.
        self._idle_ms = round(_IDLE_HEARTBEATS * heartbeat_ms)
        self._retention_s = retention_s
        self._clock = clock or SystemClock()

    async def run(self) -> None:
        """Relay whenever nobody else does, until cancelled."""
        await take_turns(self._source, database=self._database, clock=self._clock, lead=self._lead)

    def leader(self, session: Session) -> Leader:
        """Return what leads while `session` lasts."""
        return Leader(
            self._source,
            topics=self._topics,
            tables=self._tables,
            session=session,
            log=self._event_log,
            clock=self._clock,
            marked=self._ring_numbers,
        )

    def _ring_numbers(self) -> None:
        if is_numbered(self._tables.events):
            self._doorbell.ring(numbers_bell(self._source))

    async def check_way(self, session: Session) -> MinedState | None:
        """See that nothing is forgotten by what we do not look at; return what the row says.

        Call it in an epoch of one's own: who changes the way replaces whoever leads.

        Raises:
            ForgetfulChangeError: the source publishes by another way, or did last.
        """
        state = await session.read(lambda connection: read_mined(connection, self._tables.mined))
        check_change(state, self.way, self._source)
        return state

    async def _lead(self, session: Session) -> None:
        await self.check_way(session)  # a new timeline is not ours to begin, either
        leader = self.leader(session)
        await leader.take_lead()
        await self.check_way(session)
        relaying = asyncio.create_task(self._relay(leader))
        await until_one_fails([relaying, *self._beside(leader, session)])

    def _beside(self, leader: Leader, session: Session) -> list[asyncio.Task[None]]:
        """Begin what is done beside publishing."""
        metering = keep_metering(self._source, self._tables.events, self._database, self._clock)
        beside = [asyncio.create_task(metering)]
        if self._retention_s is not None and self._tables.removal is not None:
            cleaner = self.cleaner(leader, session, self._retention_s)
            beside.append(asyncio.create_task(cleaner.run()))
        return beside

    def cleaner(self, leader: Leader, session: Session, retention_s: float) -> Cleaner:
        """Return what removes events while `leader` leads."""
        return Cleaner(
            self._source,
            tables=self._tables,
            session=session,
            leader=leader,
            clock=self._clock,
            retention_s=retention_s,
        )

    async def _relay(self, leader: Leader) -> None:
        listener = self._doorbell.listen(outbox_bell(self._source))
        try:
            while True:
                began_s = self._clock.monotonic()
                published = await leader.step()
                await asyncio.sleep(_rest_s(self._clock.monotonic() - began_s))
                if not published:  # a tick after a batch lets waiting readers go on at once
                    await listener.wait(timeout_ms=self._idle_ms)
                end_if_cancelled()
        finally:
            listener.close()


def _rest_s(took_s: float) -> float:
    """Return for how long to rest after a step that took so long, however often the bell rings.

    What is committed meanwhile goes in one batch: batches grow where steps are slow because the
    machine is busy, and where they are quick there are no more than some 150 ticks a second.
    """
    return min(max(_REST * took_s, _REST_MIN_S), _REST_MAX_S)
