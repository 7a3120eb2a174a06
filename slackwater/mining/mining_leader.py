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
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from slackwater.cancellation import end_if_cancelled
from slackwater.database.port import Session
from slackwater.doorbell import Listener
from slackwater.mining.pgoutput import Change, Commit, Decoder, Message
from slackwater.mining.reading import Mined, Reading
from slackwater.mining.replication import ReplicationStream
from slackwater.outbox.leader import Leader
from slackwater.watermarks.tick import Tick

TICK_TABLE = "tick"
_BATCH_MAX = 300
_UNMARKED_MAX = 200  # with a batch on its way, so many at most are published again after a death
_READ_TIMEOUT_MS = 1_000
_MARK_INTERVAL_S = 0.5
_TICKS_A_CLAIM = 2


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
        self._unmarked: list[int] = []
        self._has_marked = asyncio.Event()
        self._is_due = asyncio.Event()
        self._ticks_wanted = _TICKS_A_CLAIM

    async def mine(self, known: Collection[int]) -> None:
        """Publish, claim and confirm whatever comes, without end.

        Args:
            known: positions of rows that were published already, because they were waiting.
        """
        while True:
            for data in await self._stream.read(timeout_ms=_READ_TIMEOUT_MS):
                message = self._decoder.read(data)
                if message is not None:
                    self._take(message, known)
                if len(self._batch) >= _BATCH_MAX:
                    await self._flush()
            await self._flush()
            end_if_cancelled()

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

    def _take(self, message: Message, known: Collection[int]) -> None:
        if isinstance(message, Commit):
            self._complete_lsn = message.end_lsn
        elif isinstance(message, Change) and message.table == TICK_TABLE:
            self._pass(message)
        elif (mined := self._reading.read(message)) is not None and mined.position not in known:
            self._batch.append(mined)

    def _pass(self, change: Change) -> None:
        """Let the tick before this one be claimed, once all that came before has been published."""
        assert change.new is not None
        tick = Tick(change.new["epoch"], change.new["n"], change.new["timeline"])
        if tick == self._passed:
            return  # something else in the row has changed
        if tick.epoch == self._passed.epoch == self._leader.epoch:
            self._claimable = self._passed
        self._passed = tick

    async def _flush(self) -> None:
        if self._batch:
            await self._wait_for_marks()
            batch, self._batch = self._batch, []
            await self._leader.publisher.publish([mined.record for mined in batch])
            self._unmarked += [each.position for each in batch if each.position is not None]
            self._ticks_wanted = _TICKS_A_CLAIM
        if self._claimable is not None:
            await self._leader.publisher.claim(self._claimable)
            self._claimable = None
        self._stream.confirm(self._complete_lsn)

    async def _wait_for_marks(self) -> None:
        while len(self._unmarked) > _UNMARKED_MAX:
            self._has_marked.clear()
            self._is_due.set()
            await self._has_marked.wait()

    async def _mark(self) -> None:
        self._is_due.clear()
        positions = list(self._unmarked)
        if positions:
            await self._session.transact(
                lambda connection: self._leader.mark(connection, positions)
            )
            del self._unmarked[: len(positions)]
        self._has_marked.set()
