"""A member of a consumer group, kept alive by heartbeats in the background.

It never claims a share that others may think free: once its lease has lapsed without a heartbeat
it owns nothing until it has joined anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from slackwater.doorbell import Doorbell
from slackwater.errors import TransientError
from slackwater.event_log.groups import Attendance, Groups
from slackwater.event_log.port import TopicPartition
from slackwater.event_log.range_assignor import range_share
from slackwater.logs import logger

_log = logger("event log")


class Share(NamedTuple):
    """The partitions that a member owns in one generation of its group."""

    member: int
    generation: int
    partitions: frozenset[TopicPartition]


class Owner(Protocol):
    """Somebody who owns partitions."""

    async def let_go(self) -> None:
        """Say that nothing of an earlier share is in hand any more."""
        ...

    def share(self) -> Share | None:
        """Return what is owned now; None while that is being settled or the lease has lapsed."""
        ...

    async def close(self) -> None: ...


class Everything:
    """Implements `Owner` for a reader without a group."""

    def __init__(self, partition_counts: Mapping[str, int]) -> None:
        partitions = frozenset(
            TopicPartition(topic, partition)
            for topic, count in partition_counts.items()
            for partition in range(count)
        )
        self._share = Share(member=0, generation=0, partitions=partitions)

    async def let_go(self) -> None:
        pass

    def share(self) -> Share:
        return self._share

    async def close(self) -> None:
        pass


class Member:
    """Implements `Owner` for a group; open it with `join`."""

    def __init__(
        self,
        group: str,
        *,
        groups: Groups,
        partition_counts: Mapping[str, int],
        doorbell: Doorbell,
        heartbeat_ms: int,
        changed: Callable[[], None],
    ) -> None:
        self._group = group
        self._groups = groups
        self._partition_counts = partition_counts
        self._topics = sorted(partition_counts)
        self._doorbell = doorbell
        self._bell = f"group/{group}"
        self._heartbeat_ms = heartbeat_ms
        self._changed = changed
        self._let_go = 0
        self._attendance: Attendance | None = None
        self._attending = asyncio.Lock()
        self._heartbeats: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Become a member, and one until `close`."""
        await self._attend()
        await self.let_go()
        self._heartbeats = asyncio.create_task(self._beat(), name=f"heartbeats of {self._group}")

    async def let_go(self) -> None:
        attendance = self._attendance
        if attendance is not None and attendance.generation > self._let_go:
            self._let_go = attendance.generation
            await self._try_to_attend()
            self._doorbell.ring(self._bell)

    def share(self) -> Share | None:
        self._raise_if_broken()
        attendance = self._attendance
        if attendance is None or not attendance.settled or self._groups.is_lapsed(attendance):
            return None
        partitions = range_share(attendance.member, attendance.members, self._partition_counts)
        return Share(attendance.member, attendance.generation, partitions)

    async def close(self) -> None:
        """Leave the group, so that others need not wait for the lease to lapse."""
        await self.stop()
        if self._attendance is not None:
            await self._leave(self._attendance.member)
            self._attendance = None

    async def stop(self) -> None:
        """Stop the heartbeats without leaving, as a crash would."""
        if self._heartbeats is not None:
            self._heartbeats.cancel()
            await asyncio.gather(self._heartbeats, return_exceptions=True)

    async def _beat(self) -> None:
        listener = self._doorbell.listen(self._bell)
        try:
            while True:
                await listener.wait(timeout_ms=self._heartbeat_ms)
                await self._try_to_attend()
        finally:
            listener.close()

    async def _try_to_attend(self) -> None:
        try:
            await self._attend()
        except TransientError as error:
            _log.warning("heartbeat failed", group=self._group, reason=str(error))

    async def _leave(self, member: int) -> None:
        try:
            await self._groups.leave(self._group, member)
        except TransientError as error:
            _log.warning("the lease must lapse", group=self._group, reason=str(error))
        self._doorbell.ring(self._bell)

    async def _attend(self) -> None:
        async with self._attending:  # two at once could join twice
            before = self._attendance
            attendance = self._attendance = await self._groups.attend(
                self._group,
                self._topics,
                member=before.member if before else None,
                let_go=self._let_go,
            )
        if before is None or before.generation != attendance.generation:
            self._doorbell.ring(self._bell)
            self._changed()
        elif before.settled != attendance.settled:
            self._changed()

    def _raise_if_broken(self) -> None:
        beats = self._heartbeats
        if beats is not None and beats.done() and not beats.cancelled():
            beats.result()
