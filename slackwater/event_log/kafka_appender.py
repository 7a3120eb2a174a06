"""Appends to Kafka in order, acknowledged by all in-sync replicas.

Each partition has one batch on its way at a time, and the next one is handed to the client only
when the one before is acknowledged. So a batch that fails can never be overtaken by a later one,
whatever the client does about sequence numbers: an idempotent producer that is new to a partition
may begin with any number there. After any failure the producer is given up with all that it still
holds and a new one is made. A batch of the old one may still arrive late: then it is a duplicate,
which the versions of events tell.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from slackwater.cancellation import undisturbed
from slackwater.errors import StructuralError
from slackwater.event_log.kafka_driver import (
    KafkaCluster,
    KafkaError,
    Producer,
    in_our_words,
)
from slackwater.event_log.port import NewRecord, TopicPartition
from slackwater.logs import logger

_BATCH_BYTES_MAX = 256 * 1024
_RECORD_BYTES_MAX = 1_000_000  # brokers take 1 MiB with the batch around it
_TEXT_BYTES = 8

_log = logger("event log")


class KafkaAppender:
    """Appends through one idempotent producer at a time."""

    def __init__(self, cluster: KafkaCluster, *, timeout_ms: int) -> None:
        self._cluster = cluster
        self._timeout_ms = timeout_ms
        self._starting = asyncio.Lock()
        self._producer: Producer | None = None
        self._on_their_way: defaultdict[TopicPartition, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._ending: set[asyncio.Task[None]] = set()

    async def append(self, at: TopicPartition, records: Sequence[NewRecord]) -> list[int]:
        """Append to one partition, and return the offset of each record.

        Raises:
            TransientError: a suffix of the records may be missing.
            StructuralError: Kafka refuses the records.
        """
        with in_our_words(f"appending to {at.topic}[{at.partition}]"):
            try:
                async with asyncio.timeout(self._timeout_ms / 1000), self._on_their_way[at]:
                    return await self._append_all(at, records)
            except TimeoutError:
                self._give_up(self._producer, "no acknowledgement in time")
                raise

    async def close(self) -> None:
        """Release the connections; every append has returned before."""
        self._give_up(self._producer, "the log is closed")
        await asyncio.gather(*self._ending)

    async def _append_all(self, at: TopicPartition, records: Sequence[NewRecord]) -> list[int]:
        offsets: list[int] = []
        while len(offsets) < len(records):
            offsets += await self._append_batch(at, records[len(offsets) :])
        return offsets

    async def _append_batch(self, at: TopicPartition, records: Sequence[NewRecord]) -> list[int]:
        producer = await self._started()
        batch = producer.create_batch()
        count = _fill(batch, records)
        try:
            sent = await producer.send_batch(batch, at.topic, partition=at.partition)
            base = await _acknowledged(sent)
        except KafkaError as error:
            self._give_up(producer, str(error))
            raise
        return list(range(base, base + count))

    async def _started(self) -> Producer:
        async with self._starting:
            if self._producer is None:
                producer = Producer(
                    **self._cluster.options(),
                    enable_idempotence=True,
                    acks="all",
                    linger_ms=0,
                    max_batch_size=_BATCH_BYTES_MAX,
                    max_request_size=_BATCH_BYTES_MAX,
                )
                try:
                    await producer.start()
                except BaseException:
                    await undisturbed(producer.stop())
                    raise
                self._producer = producer
            return self._producer

    def _give_up(self, producer: Producer | None, reason: str) -> None:
        """Stop sending at once, fail whoever waits, and end the producer in the background."""
        if self._producer is None or producer is not self._producer:
            return
        self._producer = None
        _log.info("producer ends", reason=reason)
        sending = _stop_sending(producer)
        task = asyncio.create_task(self._end(producer, sending), name="end a producer")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, producer: Producer, sending: asyncio.Task[None]) -> None:
        await asyncio.wait([sending], timeout=2 * self._cluster.request_timeout_ms / 1000)
        with suppress(KafkaError, OSError, asyncio.CancelledError):
            await producer.stop()


def _stop_sending(producer: Producer) -> asyncio.Task[None]:
    """Fail what the producer holds; its own way to end would first send all of it."""
    sending: asyncio.Task[None] = producer._sender.sender_task  # noqa: SLF001
    sending.cancel()
    accumulator = producer._message_accumulator  # noqa: SLF001
    accumulator.fail_all(KafkaError("given up"))
    for batches in accumulator._batches.values():  # noqa: SLF001
        for batch in batches:
            batch._drain_waiter.exception()  # noqa: SLF001 - or asyncio reports it as never seen
    return sending


def require_small_enough(records: Sequence[NewRecord]) -> None:
    """Refuse a record that brokers would refuse, before anything is appended."""
    for record in records:
        size_bytes = _size_bytes(record)
        if size_bytes > _RECORD_BYTES_MAX:
            raise StructuralError(
                f"a record for {record.topic} has {size_bytes} bytes, and Kafka takes "
                f"{_RECORD_BYTES_MAX}; make the event smaller"
            )


def _size_bytes(record: NewRecord) -> int:
    texts = (record.key, *record.headers.keys(), *record.headers.values())
    return len(record.value) + sum(len(text.encode()) + _TEXT_BYTES for text in texts)


def _fill(batch: Any, records: Sequence[NewRecord]) -> int:
    """Append as many records as fit, at least one, and return how many."""
    for count, record in enumerate(records):
        headers = [(name, text.encode()) for name, text in record.headers.items()]
        key, value = record.key.encode(), record.value
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            return count
    return len(records)


async def _acknowledged(sent: asyncio.Future[Any]) -> int:
    """Return the offset of a batch's first record once all in-sync replicas have it."""
    sent.add_done_callback(_notice)  # whoever waits may be cancelled
    offset: int = (await asyncio.shield(sent)).offset
    if offset < 0:
        raise KafkaError("a duplicate of a batch too old for its offset to be known")
    return offset


def _notice(sent: asyncio.Future[Any]) -> None:
    if not sent.cancelled():
        sent.exception()
