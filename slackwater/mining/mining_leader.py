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

Events that are no rows yet, messages and what changed rows mean, become rows first, in one
transaction with the position behind them (`slackwater.outbox.mined`). Where services are to write
rows again, nobody writes messages any more from some tick on; once a later one is claimed, the last
of them is a row and published, and only then rows are allowed (`slackwater.mining.way`).

Rows wait in their table where an outbox was polled before, where a predecessor had not marked them
yet, and where a slot was lost. They are published at once, and left out when the stream brings
them. A slot that is new may also miss a commit that is older than it and not visible yet. So rows
that wait are looked for again once every transaction has ended that was under way at the beginning,
and nothing is claimed before. Where nobody else may write rows, whatever waits was there when the
epoch began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import IntegrityError

from slackwater.cancellation import end_if_cancelled
from slackwater.database.port import Session
from slackwater.database.postgresql_transaction import driver_of
from slackwater.doorbell import Listener
from slackwater.errors import StructuralError, TransientError
from slackwater.events.event import Event
from slackwater.mining.inferring import Inferring
from slackwater.mining.pgoutput import Begin, Commit, Decoder, Message
from slackwater.mining.reading import Mined, Reading
from slackwater.mining.replication import ReplicationStream
from slackwater.mining.way import open_rows
from slackwater.outbox.leader import Leader
from slackwater.outbox.mined import Position, Versions
from slackwater.outbox.unpublished import to_record
from slackwater.watermarks.tick import Tick

_BATCH_MAX = 300
_ROWS_MAX = 1_000  # of one transaction; a single one of changed rows may mean more
_UNMARKED_MAX = 200  # with a batch on its way, so many at most are published again after a death
_READ_TIMEOUT_MS = 1_000
_MARK_INTERVAL_S = 0.5
_SETTLE_INTERVAL_S = 0.1
_TICKS_A_CLAIM = 2
_BEGUN_BEFORE = text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
_OLDEST_UNDER_WAY = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")


class TakenVersionError(StructuralError):
    """An event made of the log has another's version or id; let nobody else add events."""


class RowsAgainError(TransientError):
    """All messages have become rows, and services may write rows again; mine those."""


class MiningLeader:
    """Mines one source while it owns the slot, in the epoch that its `leader` has taken."""

    def __init__(
        self,
        leader: Leader,
        session: Session,
        stream: ReplicationStream,
        reading: Reading,
        inferring: Inferring,
        versions: Versions,
        last_messages: Tick | None,
    ) -> None:
        """After `last_messages` no message was written, and services are to write rows again."""
        self._leader = leader
        self._session = session
        self._stream = stream
        self._reading = reading
        self._inferring = inferring
        self._versions = versions
        self._decoder = Decoder()
        self._last_messages = last_messages
        self._batch: list[Mined | Event] = []
        self._passed = Tick(0, 0)
        self._claimable: Tick | None = None
        self._done = Position(0)  # what became a row and waits is confirmed once it is published
        self._kept_lsn = 0
        self._has_settled = False
        # Nothing has to be looked for where only what the log brings becomes rows.
        self._looked_again_at = None if reading.sees_rows else Tick(0, 0)
        self._may_know = True
        self._unmarked: list[int] = []
        self._has_marked = asyncio.Event()
        self._is_due = asyncio.Event()
        self._ticks_wanted = _TICKS_A_CLAIM

    async def mine(self) -> None:
        """Publish, claim and confirm whatever comes, without end.

        Raises:
            RowsAgainError: services write rows from now on.
        """
        await self._publish_waiting()
        self._done = self._inferring.position
        while True:
            for data in await self._stream.read(timeout_ms=_READ_TIMEOUT_MS):
                message = self._decoder.read(data)
                if message is not None:
                    self._take(message)
                if len(self._batch) >= _ROWS_MAX:
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
        if isinstance(message, Begin):
            self._inferring.begin(message)
        elif isinstance(message, Commit):
            self._batch += self._inferring.commit(message)
        elif (tick := self._reading.tick(message)) is not None:
            self._pass(tick)
        elif (mined := self._reading.event(message)) is not None:
            self._batch.append(mined)
        else:
            self._batch += self._inferring.take(message)

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
            batch, self._batch = self._batch, []
            rows = await self._as_rows(batch)
            for first in range(0, len(rows), _BATCH_MAX):
                await self._wait_for_marks(_UNMARKED_MAX)
                await self._publish(rows[first : first + _BATCH_MAX])
        if self._claimable is not None:
            claimed, self._claimable = self._claimable, None
            await self._leader.log_side.claim(claimed)
            if self._last_messages is not None and claimed > self._last_messages:
                await self._arrive_back()
        self._done = self._inferring.position

    async def _arrive_back(self) -> None:
        await self._wait_for_marks(0)
        await self._session.transact(self._open_rows)
        raise RowsAgainError("all its messages have become rows, which its services may write now")

    def _open_rows(self, connection: Connection) -> None:
        self._leader.arrive_back(connection)
        open_rows(driver_of(connection), self._leader.events_table)

    async def _as_rows(self, batch: Sequence[Mined | Event]) -> list[Mined]:
        """Make rows of the events that are none yet; keep the order.

        Raises:
            TakenVersionError: another event has the version of one, or its id.
        """
        events = [each for each in batch if isinstance(each, Event)]
        made = iter(await self._make_rows(events) if events else ())
        return [each if isinstance(each, Mined) else next(made) for each in batch]

    async def _make_rows(self, events: Sequence[Event]) -> list[Mined]:
        position = self._inferring.position
        try:
            made = await self._session.transact(
                lambda connection: self._leader.make_rows(
                    connection, events, self._versions, position
                )
            )
        except IntegrityError as error:
            raise TakenVersionError(
                f"an event made of the log of {events[0].source} has a version or an id that "
                f"another one has ({error.orig}): let nobody else add events to its table"
            ) from error
        self._kept_lsn = position.lsn
        self._versions.remember([event for _, event in made])
        return [Mined(row, to_record(event)) for row, event in made]

    async def _publish(self, batch: Sequence[Mined]) -> None:
        if self._may_know:
            batch = await self._unpublished(batch)
        if batch:
            await self._leader.publish([mined.record for mined in batch])
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
        positions, done = list(self._unmarked), self._done
        if positions:
            await self._leader.mark(positions)
            del self._unmarked[: len(positions)]
        self._has_marked.set()
        await self._confirm(done)

    async def _confirm(self, done: Position) -> None:
        """Let the server forget what is acknowledged, after we know that it need not come again.

        That events can be had again from their rows would allow it earlier, and gain nothing. A row
        of the position that appears only now lies behind all that we have met (`beginning`).
        """
        if done.lsn > self._kept_lsn and await self._session.read(self._leader.mined) is not None:
            await self._session.transact(
                lambda connection: self._leader.advance_position(connection, done)
            )
        self._kept_lsn = max(self._kept_lsn, done.lsn)
        self._stream.confirm(done.lsn)

    async def _number(self, statement: TextClause) -> int:
        return int(await self._session.read(lambda each: each.execute(statement).scalar_one()))
