"""A subscription to the SQLite log: its share of the group, its positions, and the waiting.

Records are handed out only after asking, once they are read, whether the share still stands; then
the positions move and the records leave in one step, so a poll that is cancelled skips nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from slackwater.event_log.errors import ClosedSubscriptionError
from slackwater.event_log.member import Owner, Share
from slackwater.event_log.port import Assignment, Record, TopicPartition
from slackwater.event_log.positions import Positions
from slackwater.event_log.topic_file import TopicFile
from slackwater.event_log.wakeup import Wakeup

_LOOK_INTERVAL_MS = 500


class SqliteSubscription:
    """Implements `Subscription`."""

    def __init__(
        self,
        topics: Mapping[str, TopicFile],
        *,
        owner: Owner,
        wakeup: Wakeup,
        oldest_at_zero: bool,
    ) -> None:
        self._topics = topics
        self._owner = owner
        self._wakeup = wakeup
        self._oldest_at_zero = oldest_at_zero
        self._positions = Positions()
        self._assigned: Share | None = None
        self._polling = asyncio.Lock()
        self._closed = False

    async def poll(self, *, max_records: int, timeout_ms: int) -> Assignment | Sequence[Record]:
        """Return the next records, or a new assignment, or nothing once the time is up.

        Raises:
            LostRetentionError: a position was trimmed away.
            PositionBeyondEndError: a position lies beyond the end of its partition.
            ClosedSubscriptionError: the subscription was closed before the call.
        """
        if self._closed:
            raise ClosedSubscriptionError("the subscription is closed; subscribe again")
        async with self._polling:
            return await self._poll(max_records, time.monotonic() + timeout_ms / 1000)

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        self._positions.seek(positions)
        self._wakeup.wake()

    async def close(self) -> None:
        """Leave the group; a poll that waits returns nothing."""
        if self._closed:
            return
        self._closed = True
        self._wakeup.wake()
        async with self._polling:
            await self._wakeup.close()
            await self._owner.close()

    async def _poll(self, max_records: int, deadline_s: float) -> Assignment | Sequence[Record]:
        while not self._closed:
            self._wakeup.forget()
            await self._owner.let_go()
            found = await self._look(max_records)
            left_ms = (deadline_s - time.monotonic()) * 1000
            if found or left_ms <= 0:
                return found
            await self._wakeup.wait(timeout_ms=min(left_ms, _LOOK_INTERVAL_MS))
        return []

    async def _look(self, max_records: int) -> Assignment | Sequence[Record]:
        share = self._owner.share()
        if share is None:
            return []
        if share != self._assigned:
            return self._assign(share)
        records = await self._read(max_records)
        if self._owner.share() != share:
            return []
        self._positions.advance(records)
        return records

    def _assign(self, share: Share) -> Assignment:
        self._positions.assign(share.partitions, keep=self._is_next(share))
        self._assigned = share
        return Assignment(share.partitions)

    def _is_next(self, share: Share) -> bool:
        """Tell whether nobody can have owned our partitions since the share before."""
        before = self._assigned
        return (
            before is not None
            and share.member == before.member
            and share.generation == before.generation + 1
        )

    async def _read(self, max_records: int) -> list[Record]:
        fetches = self._positions.fetches(await self._ends(), max_records)
        records: list[Record] = []
        for topic, wanted in fetches.items():
            records += await self._topics[topic].fetch(wanted, oldest_at_zero=self._oldest_at_zero)
        return records

    async def _ends(self) -> dict[TopicPartition, int]:
        return {
            TopicPartition(topic, partition): bounds.end
            for topic in self._positions.topics()
            for partition, bounds in (await self._topics[topic].bounds()).items()
        }
