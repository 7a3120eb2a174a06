"""A subscription on Kafka: what it owns comes first, then records of what was sought.

    rebalance ─► Assignment ─► seek ─► records … ─► rebalance
                                 ▲         │
                                 └─ the client failed: a new one goes on where this one was

Positions are kept here; the client is told where to fetch and never decides it. It resets nothing:
a position that the log does not have is an error that says whether it was trimmed or never there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from slackwater.cancellation import undisturbed
from slackwater.errors import StructuralError, TransientError
from slackwater.event_log.errors import (
    ClosedSubscriptionError,
    LostRetentionError,
    PositionBeyondEndError,
)
from slackwater.event_log.kafka_backlog import Backlog
from slackwater.event_log.kafka_driver import (
    Consumer,
    KafkaError,
    KafkaPartition,
    OffsetOutOfRangeError,
    end_consumer,
    our_error,
    require_unbroken,
)
from slackwater.event_log.kafka_member import KafkaOwner, release
from slackwater.event_log.kafka_offsets import KafkaOffsets
from slackwater.event_log.member import Share
from slackwater.event_log.port import Assignment, Record, TopicPartition
from slackwater.event_log.positions import Positions
from slackwater.logs import logger

_LOOK_INTERVAL_MS = 500

_log = logger("event log")


class KafkaSubscription:
    """Implements `Subscription`."""

    def __init__(
        self,
        start: Callable[[], Awaitable[Consumer]],
        *,
        owner: KafkaOwner,
        news: asyncio.Event,
        offsets: KafkaOffsets,
        oldest_at_zero: bool,
    ) -> None:
        self._start = start
        self._owner = owner
        self._news = news
        self._offsets = offsets
        self._oldest_at_zero = oldest_at_zero
        self._consumer: Consumer | None = None
        self._assigned: Share | None = None
        self._positions = Positions()
        self._sought: set[TopicPartition] = set()
        self._backlog = Backlog()
        self._failure: Exception | None = None
        self._polling = asyncio.Lock()
        self._closed = False

    async def begin(self) -> None:
        """Connect, and begin to own partitions.

        Raises:
            TransientError: no broker answers.
        """
        self._consumer = await self._start()
        self._owner.begin(self._consumer)

    async def poll(self, *, max_records: int, timeout_ms: int) -> Assignment | Sequence[Record]:
        """Return the next records, or a new assignment, or nothing once the time is up.

        While the brokers are away there is nothing, however long that takes.

        Raises:
            LostRetentionError: a position was trimmed away.
            PositionBeyondEndError: a position lies beyond the end of its partition.
            ClosedSubscriptionError: the subscription was closed before the call.
        """
        if self._closed:
            raise ClosedSubscriptionError("the subscription is closed; subscribe again")
        async with self._polling:
            self._owner.let_go()
            found = await self._poll(max_records, time.monotonic() + timeout_ms / 1000)
            if found:
                self._owner.take_in_hand()
            return found

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        before = self._positions.next_offsets()
        self._positions.seek(positions)
        after = self._positions.next_offsets()
        self._sought |= {at for at in after if at in positions or at not in before}
        self._news.set()

    async def close(self) -> None:
        """Leave the group; a poll that waits returns nothing."""
        if self._closed:
            return
        self._closed = True
        self._owner.let_go()
        self._news.set()
        async with self._polling:
            await self._stop()

    async def _poll(self, max_records: int, deadline_s: float) -> Assignment | Sequence[Record]:
        while not self._closed:
            self._news.clear()
            found = await self._look(max_records)
            left_ms = (deadline_s - time.monotonic()) * 1000
            if found or left_ms <= 0:
                return found
            await self._wait(min(left_ms, _LOOK_INTERVAL_MS))
        return []

    async def _look(self, max_records: int) -> Assignment | Sequence[Record]:
        if self._failure is not None:
            await self._give_up_client(self._failure)
            return []
        share = await self._share()
        if share is None:
            self._fail_if_lost()
            return []
        if share != self._assigned:
            return self._assign(share)
        if not await self._owner.is_proven(self._positions.next_offsets()):
            self._fail_if_lost()
            return []
        await self._fetch(timeout_ms=0)
        await asyncio.sleep(0)  # records in hand must not keep others from arriving
        if self._owner.share() != share or self._sought:
            return []
        records = self._backlog.take(self._positions, max_records)
        self._positions.advance(records)
        return records

    def _fail_if_lost(self) -> None:
        """Take a client for failed that has heard nothing of its group: it may wait for ever."""
        if self._consumer is not None and self._owner.is_lost():
            self._failure = KafkaError("its group has been silent for too long")

    async def _share(self) -> Share | None:
        if self._consumer is None:
            with suppress(TransientError):
                await self.begin()
        return self._owner.share() if self._consumer is not None else None

    def _assign(self, share: Share) -> Assignment:
        self._backlog.clear()
        self._sought.clear()
        self._positions.assign(share.partitions, keep=False)
        self._assigned = share
        return Assignment(share.partitions)

    async def _wait(self, timeout_ms: float) -> None:
        """Return when there is something to look at, or time is up."""
        news = asyncio.ensure_future(self._news.wait())
        fetching = asyncio.ensure_future(self._fetch(timeout_ms=timeout_ms))
        try:
            await asyncio.wait(
                [news, fetching], timeout=timeout_ms / 1000, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            news.cancel()
            fetching.cancel()
            await asyncio.wait([news, fetching])
        if not fetching.cancelled():
            fetching.result()

    async def _fetch(self, *, timeout_ms: float) -> None:
        """Put what the client has, or gets within the time, into the backlog."""
        consumer = self._consumer
        if consumer is None:
            await asyncio.sleep(timeout_ms / 1000)
            return
        try:
            require_unbroken(consumer)
            wanted = self._wanted(consumer)
            await self._fill(consumer, wanted, timeout_ms)
        except OffsetOutOfRangeError as error:
            await self._out_of_range(consumer, error.args[0])
        except KafkaError as error:
            self._failure = error

    def _wanted(self, consumer: Consumer) -> Sequence[TopicPartition]:
        """Return of what more may be fetched; nothing during a rebalance."""
        positions = self._positions.next_offsets()
        if not positions or self._owner.share() != self._assigned:
            return []
        self._release_what_was_sought(consumer)
        return self._backlog.with_room(positions)

    async def _fill(
        self, consumer: Consumer, wanted: Sequence[TopicPartition], timeout_ms: float
    ) -> None:
        if not wanted:  # the client would take that for all, or wait for as long as a group takes
            await asyncio.sleep(timeout_ms / 1000)
            return
        theirs = [KafkaPartition(*at) for at in wanted]
        self._backlog.add(await consumer.getmany(*theirs, timeout_ms=timeout_ms))

    def _release_what_was_sought(self, consumer: Consumer) -> None:
        positions = self._positions.next_offsets()
        while self._sought:
            at = self._sought.pop()
            self._backlog.drop(at)
            release(consumer, at, positions[at])

    async def _out_of_range(
        self, consumer: Consumer, fetched: Mapping[KafkaPartition, int]
    ) -> None:
        for theirs, offset in fetched.items():
            at = TopicPartition(*theirs)
            with suppress(TransientError):  # the client fetches, and fails, again
                bounds = await self._offsets.bounds(at)
                if self._oldest_at_zero and self._positions.next_offsets().get(at) == 0:
                    release(consumer, at, bounds.oldest)
                elif offset < bounds.oldest:
                    raise LostRetentionError(at, offset, bounds.oldest)
                elif offset > bounds.end:
                    raise PositionBeyondEndError(at, offset, bounds.end)

    async def _give_up_client(self, error: Exception) -> None:
        """Let a new client go on where this one was, or be assigned anew."""
        self._failure = None
        ours = our_error("reading", error)
        if isinstance(ours, StructuralError):
            raise ours from error
        _log.warning("consumer begins anew", reason=str(error))
        await self._stop()
        self._backlog.clear()
        self._sought |= self._positions.next_offsets().keys()

    async def _stop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await undisturbed(end_consumer(consumer))
