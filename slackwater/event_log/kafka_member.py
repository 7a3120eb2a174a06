"""A member of a consumer group on Kafka, and what it owns.

The group's coordinator tells of a rebalance by heartbeats; the member then lets go: it hands out
nothing more, waits until the batch in hand is finished (no longer than a session, as nobody else
would wait either) and joins anew. Kafka lets anyone fetch anything, so a member proves every now
and then that it still is one, by committing where it is; nothing is handed out when the latest
proof is older than a session. What is committed is a hint for operators' tools and never read here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Protocol

from slackwater.event_log.kafka_driver import (
    CommitFailedError,
    Consumer,
    KafkaError,
    KafkaPartition,
    RebalanceListener,
    knows_coordinator,
)
from slackwater.event_log.member import Share
from slackwater.event_log.port import TopicPartition
from slackwater.logs import logger

_PROOF_TIMEOUT_S = 1.0
_SILENT_SESSIONS_MAX = 4
"""A group takes a session to miss a member and two to be joined anew."""

_log = logger("event log")


class KafkaOwner(Protocol):
    """Somebody who owns partitions."""

    def begin(self, consumer: Consumer) -> None:
        """Own partitions through this consumer from now on, and nothing through an earlier one."""
        ...

    def share(self) -> Share | None:
        """Return what is owned now; None during a rebalance."""
        ...

    def take_in_hand(self) -> None:
        """Say that something of the share is in hand until `let_go`."""
        ...

    def let_go(self) -> None:
        """Say that nothing of an earlier share is in hand any more."""
        ...

    async def is_proven(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Tell whether nobody else can own the share."""
        ...

    def is_lost(self) -> bool:
        """Tell whether the group has been silent for longer than any rebalance takes."""
        ...


class KafkaEverything:
    """Implements `KafkaOwner` for a reader without a group."""

    def __init__(self, partitions: Collection[TopicPartition]) -> None:
        self._share = Share(member=0, generation=0, partitions=frozenset(partitions))

    def begin(self, consumer: Consumer) -> None:
        consumer.assign([KafkaPartition(*at) for at in self._share.partitions])
        hold(consumer, self._share.partitions)

    def share(self) -> Share:
        return self._share

    def take_in_hand(self) -> None:
        pass

    def let_go(self) -> None:
        pass

    async def is_proven(self, positions: Mapping[TopicPartition, int]) -> bool:
        return True

    def is_lost(self) -> bool:
        return False


class KafkaMember(RebalanceListener):  # type: ignore[misc]
    """Implements `KafkaOwner` for a group."""

    def __init__(
        self, topics: Collection[str], *, session_timeout_ms: int, changed: Callable[[], None]
    ) -> None:
        self._topics = list(topics)
        self._session_s = session_timeout_ms / 1000
        self._changed = changed
        self._consumer: Consumer | None = None
        self._generation = 0
        self._share: Share | None = None
        self._proven_s = 0.0
        self._heard_s = 0.0
        self._is_silent = False
        self._nothing_in_hand = asyncio.Event()
        self._nothing_in_hand.set()

    def begin(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._share = None
        self._heard_s = time.monotonic()
        consumer.subscribe(self._topics, listener=self)

    def share(self) -> Share | None:
        return self._share

    def take_in_hand(self) -> None:
        self._nothing_in_hand.clear()

    def let_go(self) -> None:
        self._nothing_in_hand.set()

    async def on_partitions_revoked(self, revoked: Collection[KafkaPartition]) -> None:
        """Let go before the group is joined anew; called by the client."""
        self._share = None
        self._heard_s = time.monotonic()
        self._changed()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._session_s):
                await self._nothing_in_hand.wait()
        _log.debug("partitions revoked", count=len(revoked))

    async def on_partitions_assigned(self, assigned: Collection[KafkaPartition]) -> None:
        """Own a new share, of which nothing is fetched yet; called by the client."""
        partitions = frozenset(TopicPartition(*at) for at in assigned)
        hold(self._consumer, partitions)
        self._generation += 1
        self._proven_s = self._heard_s = time.monotonic()
        self._share = Share(member=0, generation=self._generation, partitions=partitions)
        self._changed()

    async def is_proven(self, positions: Mapping[TopicPartition, int]) -> bool:
        if self._share is not None and not self._share.partitions:
            self._hear_without_a_share()
            return not self.is_lost()  # what nobody owns nobody owns twice
        if time.monotonic() - self._proven_s >= self._session_s / 3:
            await self._prove(positions)
        return self._is_within_session()

    def _hear_without_a_share(self) -> None:
        """Hear of the group whatever the client knows: without partitions nothing is committed.

        A coordinator that hangs is taken for heard until the client's own requests time out; as
        nothing is owned, nothing stands still by that.
        """
        assert self._consumer is not None
        if knows_coordinator(self._consumer):
            self._heard_s = time.monotonic()

    def is_lost(self) -> bool:
        return time.monotonic() - self._heard_s > _SILENT_SESSIONS_MAX * self._session_s

    def _is_within_session(self) -> bool:
        return time.monotonic() - self._proven_s < self._session_s

    async def _prove(self, positions: Mapping[TopicPartition, int]) -> None:
        if not positions:
            return
        assert self._consumer is not None
        began_s = time.monotonic()
        offsets = {KafkaPartition(*at): offset for at, offset in positions.items()}
        try:
            async with asyncio.timeout(_PROOF_TIMEOUT_S):
                await self._consumer.commit(offsets)
        except CommitFailedError:
            self._share = None  # the group goes on without us; the client joins anew
            self._heard_s = time.monotonic()
        except (KafkaError, TimeoutError) as error:
            self._report_silence(str(error) or type(error).__name__)
        else:
            self._proven_s = self._heard_s = began_s
            self._report_answer()

    def _report_silence(self, reason: str) -> None:
        """Say once that nothing is handed out any more, which a reader sees only as growing lag."""
        if not self._is_within_session() and not self._is_silent:
            self._is_silent = True
            _log.warning("group coordinator is silent", topics=self._topics, reason=reason)

    def _report_answer(self) -> None:
        if self._is_silent:
            self._is_silent = False
            _log.info("group coordinator answers again", topics=self._topics)


def hold(consumer: Consumer, partitions: Collection[TopicPartition]) -> None:
    """Keep the client from fetching, and from asking where the group was, until `release`."""
    for at in partitions:
        consumer.pause(KafkaPartition(*at))
        consumer.seek(KafkaPartition(*at), 0)


def release(consumer: Consumer, at: TopicPartition, offset: int) -> None:
    """Fetch a partition from `offset` on."""
    consumer.seek(KafkaPartition(*at), offset)
    consumer.resume(KafkaPartition(*at))
