"""The leader that mines: publishes what the log brings, and claims the ticks that it passes there.

    raise ticks ──► the log ──► events, ticks and commits, in the order of commit records
                                   │
    confirm what need not come ◄── claim the tick before ◄── await the log's acknowledgement
    again; mark rows, in time        the one that was passed

The order of commit records is not the order of visibility: a commit is written first and becomes
visible a little later, and of two the later one may be visible first. A tick's row is locked until
its commit is visible, though, so whatever was visible before tick n has its record before that of
tick n + 1. Whoever passes n + 1 claims n, therefore, and nothing of an epoch before its second tick
(docs/model/Mining.tla).

Rows wait in their table where an outbox was polled before, where a predecessor had not marked them
yet, and where a slot was lost. They are published at once, and left out when the stream brings
them. A slot that is new may also miss a commit that is older than it and not visible yet. So rows
that wait are looked for again once every transaction has ended that was under way at the beginning,
and nothing is claimed before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy import TextClause, text

from slackwater.cancellation import end_if_cancelled
from slackwater.database.port import Session
from slackwater.doorbell import Listener
from slackwater.mining.pgoutput import Commit, Decoder, Message
from slackwater.mining.reading import Mined, Reading
from slackwater.mining.replication import ReplicationStream
from slackwater.outbox.leader import Leader
from slackwater.watermarks.tick import Tick

_BATCH_MAX = 300
_UNMARKED_MAX = 200  # with a batch on its way, so many at most are published again after a death
_READ_TIMEOUT_MS = 1_000
_MARK_INTERVAL_S = 0.5
_SETTLE_INTERVAL_S = 0.1
_TICKS_A_CLAIM = 2
_BEGUN_BEFORE = text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
_OLDEST_UNDER_WAY = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")


class MiningLeader:
    """Mines one source while it owns the slot, in the epoch that its `leader` has taken."""

    def __init__(
        self, leader: Leader, session: Session, stream: ReplicationStream, reading: Reading
    ) -> None:
        self._leader = leader
        self._session = session
        self._stream = stream
        self._reading = reading
        self._decoder = Decoder()
        self._batch: list[Mined] = []
        self._passed = Tick(0, 0)
        self._claimable: Tick | None = None
        self._complete_lsn = 0
        self._has_settled = False
        self._looked_again_at: Tick | None = None
        self._may_know = True
        self._unmarked: list[int] = []
        self._has_marked = asyncio.Event()
        self._is_due = asyncio.Event()
        self._ticks_wanted = _TICKS_A_CLAIM

    async def mine(self) -> None:
        """Publish, claim and confirm whatever comes, without end."""
        await self._publish_waiting()
        while True:
            for data in await self._stream.read(timeout_ms=_READ_TIMEOUT_MS):
                message = self._decoder.read(data)
                if message is not None:
                    self._take(message)
                if len(self._batch) >= _BATCH_MAX:
                    await self._flush()
            await self._flush()
            if self._has_settled and self._looked_again_at is None:
                await self._look_again()
            await asyncio.sleep(0)  # others want their turn, also while nothing here has to wait
            end_if_cancelled()

    async def settle(self) -> None:
        """Wait until every transaction has ended that is under way now."""
        begun = await self._number(_BEGUN_BEFORE)
        while begun > await self._number(_OLDEST_UNDER_WAY):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(_SETTLE_INTERVAL_S)
        self._has_settled = True

    async def keep_ticking(
        self, listener: Listener, *, interval_min_s: float, idle_ms: int
    ) -> None:
        """Raise ticks while anything waits to be claimed, and one claim's worth a heartbeat."""
        while True:
            await self._leader.raise_tick()
            self._ticks_wanted -= 1
            await asyncio.sleep(interval_min_s)  # however often the bell rings
            if self._ticks_wanted <= 0:
                await listener.wait(timeout_ms=idle_ms)
                self._ticks_wanted = _TICKS_A_CLAIM
            end_if_cancelled()

    async def keep_marking(self) -> None:
        """Mark published rows, many at once: that only spares a successor to publish them again."""
        while True:
            try:
                async with asyncio.timeout(_MARK_INTERVAL_S):
                    await self._is_due.wait()
            except TimeoutError:
                pass
            await self._mark()
            end_if_cancelled()

    async def _publish_waiting(self) -> None:
        async for _ in self._leader.publish_waiting():
            self._ticks_wanted = _TICKS_A_CLAIM

    async def _look_again(self) -> None:
        """Publish what was not visible yet at the beginning, and may be older than the slot."""
        await self._wait_for_marks(0)
        await self._publish_waiting()
        self._looked_again_at = await self._session.read(self._leader.tick)

    def _take(self, message: Message) -> None:
        if isinstance(message, Commit):
            self._complete_lsn = message.end_lsn
        elif (tick := self._reading.tick(message)) is not None:
            self._pass(tick)
        elif (mined := self._reading.event(message)) is not None:
            self._batch.append(mined)

    def _pass(self, tick: Tick) -> None:
        """Let the tick before this one be claimed, once all that came before has been published."""
        if tick == self._passed:
            return  # something else in the row has changed
        is_ours = tick.epoch == self._passed.epoch == self._leader.epoch
        if is_ours and tick.timeline == self._passed.timeline and self._looked_again_at is not None:
            self._claimable = self._passed
            self._may_know = self._passed <= self._looked_again_at
        self._passed = tick

    async def _flush(self) -> None:
        if self._batch:
            await self._wait_for_marks(_UNMARKED_MAX)
            batch, self._batch = self._batch, []
            await self._publish(batch)
        if self._claimable is not None:
            await self._leader.log_side.claim(self._claimable)
            self._claimable = None
        self._stream.confirm(self._complete_lsn)

    async def _publish(self, batch: Sequence[Mined]) -> None:
        if self._may_know:
            batch = await self._unpublished(batch)
        if batch:
            await self._leader.log_side.publish([mined.record for mined in batch])
            self._unmarked += [each.position for each in batch]
            self._ticks_wanted = _TICKS_A_CLAIM

    async def _unpublished(self, batch: Sequence[Mined]) -> Sequence[Mined]:
        """Leave out what is marked: it was polled, or a predecessor died before it confirmed."""
        positions = [each.position for each in batch]
        marked = await self._session.read(lambda each: self._leader.marked(each, positions))
        return [each for each in batch if each.position not in marked]

    async def _wait_for_marks(self, unmarked_max: int) -> None:
        while len(self._unmarked) > unmarked_max:
            self._has_marked.clear()
            self._is_due.set()
            await self._has_marked.wait()

    async def _mark(self) -> None:
        self._is_due.clear()
        positions = list(self._unmarked)
        if positions:
            await self._leader.mark(positions)
            del self._unmarked[: len(positions)]
        self._has_marked.set()

    async def _number(self, statement: TextClause) -> int:
        return int(await self._session.read(lambda each: each.execute(statement).scalar_one()))
