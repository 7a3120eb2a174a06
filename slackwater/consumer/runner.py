"""The consumer runner: polls, hands batches to a handler, and decides by kind when one fails.

The handler makes effect and progress durable in one step; the runner never acknowledges anything to
the log. After a crash, a rebalance or a fence it goes on where the handler's own store says, so an
event is handled at least once, and the handler's guards make that effectively once.

    subscribe ─► assigned: claim, seek ─► poll ─► handle ─┬─► poll …      (nothing came: look)
        ▲                                                 ├─ transient: again, with backoff
        └──────────── fenced, or rows changed ◄───────────┤
                                     halted, and says so ◄┘ poisonous or structural
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

from slackwater.backoff import backoff
from slackwater.cancellation import end_if_cancelled
from slackwater.errors import (
    FencedError,
    PoisonousEventError,
    SlackwaterError,
    TransientError,
)
from slackwater.event_log.port import (
    Assignment,
    EventLog,
    Record,
    Subscription,
    TopicPartition,
)
from slackwater.logs import logger

_BATCH_MAX = 500
_POLL_TIMEOUT_MS = 1_000
_BACKOFF_FIRST_S = 0.05
_BACKOFF_MAX_S = 5.0

_log = logger("consumer")

T = TypeVar("T")


class BatchHandler(Protocol):
    """What is done with the records; its own store is the truth about how far it has come."""

    async def assigned(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Claim the partitions against earlier owners; return the next offset of each."""
        ...

    async def handle(self, records: Sequence[Record]) -> None:
        """Make the effects of records and the progress behind them durable as one.

        Raises:
            TransientError: not all is done; hand over the same records again.
            FencedError: another consumer owns a partition by now.
            PoisonousEventError, StructuralError: no retry will help.
        """
        ...

    async def idle(self) -> None:
        """Look whether all is as it was left; nothing comes that would show it.

        Raises:
            TransientError: it cannot be told now.
            FencedError: the store is further back, or another consumer owns a partition by now.
            StructuralError: no retry will help.
        """
        ...

    async def halted(self, reason: str) -> None:
        """Make it known that consuming has stopped for the reason given."""
        ...


class ConsumerRunner:
    """One member of a consumer group with its handler."""

    def __init__(
        self, group: str, *, topics: Sequence[str], log: EventLog, handler: BatchHandler
    ) -> None:
        self._group = group
        self._topics = topics
        self._event_log = log
        self._handler = handler
        self._is_assigned = False

    async def run(self) -> None:
        """Consume until cancelled; when halted, stay so until restarted."""
        while True:
            try:
                await self._consume()
            except FencedError as error:
                _log.warning("consumer rejoins", group=self._group, reason=str(error))
            end_if_cancelled()

    async def _consume(self) -> None:
        subscription = await self._persist(
            lambda: self._event_log.subscribe(self._topics, group=self._group)
        )
        self._is_assigned = False
        try:
            while True:
                await self._step(subscription)
                end_if_cancelled()
        except FencedError:
            raise
        except SlackwaterError as error:
            # Before the group is left: whoever goes on with the partitions says more than we do.
            await self._halt(error)
        finally:
            await subscription.close()
        await asyncio.Event().wait()

    async def _step(self, subscription: Subscription) -> None:
        polled = await self._persist(
            lambda: subscription.poll(max_records=_BATCH_MAX, timeout_ms=_POLL_TIMEOUT_MS)
        )
        if isinstance(polled, Assignment):
            partitions = polled.partitions
            positions = await self._persist(lambda: self._handler.assigned(partitions))
            await subscription.seek(positions)
            self._is_assigned = True
        elif polled:
            await self._handle_up_to_poison(polled)
        elif self._is_assigned:  # before that the handler knows what it had before it rejoined
            await self._look()

    async def _look(self) -> None:
        """Let the handler look; if that cannot be told now, after the next poll."""
        try:
            await self._handler.idle()
        except TransientError as error:
            _log.warning("consumer cannot look", group=self._group, reason=str(error))

    async def _handle_up_to_poison(self, records: Sequence[Record]) -> None:
        """Handle a batch; when one record poisons it, everything before that one still counts."""
        try:
            await self._persist(lambda: self._handler.handle(records))
        except PoisonousEventError:
            if len(records) == 1:
                raise
            for record in records:
                await self._persist(partial(self._handler.handle, [record]))

    async def _persist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do it again, ever more slowly, for as long as the trouble is one that passes."""
        for delay_s in backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S):
            try:
                return await work()
            except TransientError as error:
                _log.warning("consumer retries", group=self._group, reason=str(error), in_s=delay_s)
                await asyncio.sleep(delay_s)
            end_if_cancelled()
        raise AssertionError("the backoff never ends")

    async def _halt(self, error: SlackwaterError) -> None:
        _log.error("consumer halted", group=self._group, reason=str(error))
        await self._persist(lambda: self._handler.halted(str(error)))
