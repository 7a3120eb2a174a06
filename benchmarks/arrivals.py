"""What a consumer sees of a topic, and when: the same one for every way of publishing."""

from __future__ import annotations

import asyncio
import itertools
import time

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.contender import Place
from slackwater.event_log.port import Topic

_DEADLINE_S = 180.0
_INSTANT_S = 0.001


class Arrivals:
    """Reads a topic from its present end, and remembers when each event came."""

    def __init__(self, kafka: str, topic: Topic) -> None:
        self._topic = topic
        self._consumer = AIOKafkaConsumer(bootstrap_servers=kafka, fetch_max_wait_ms=50)
        self._changed = asyncio.Event()
        self.first_s = self.last_s = 0.0
        self.first_count = 0
        self.at_s: dict[Place, float] = {}
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._consumer.start()
        self._consumer.assign(
            [TopicPartition(self._topic.name, number) for number in range(self._topic.partitions)]
        )
        await self._consumer.seek_to_end()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while True:
            fetched = await self._consumer.getmany(timeout_ms=1_000)
            now_s = time.monotonic()
            for each in itertools.chain.from_iterable(fetched.values()):
                version = int(dict(each.headers)["ce_aggregateversion"])
                self.at_s.setdefault((each.key.decode(), version), now_s)
            if fetched:
                self.first_count = self.first_count or len(self.at_s)
                self.first_s = self.first_s or now_s
                self.last_s = now_s
                self._changed.set()

    def rate(self) -> float:
        """Return the events a second after the first fetch; 0 where that brought them all."""
        since_s = max(self.last_s - self.first_s, _INSTANT_S)
        return (len(self.at_s) - self.first_count) / since_s

    async def wait_for(self, count: int) -> None:
        """Wait until so many different events have come.

        Raises:
            TimeoutError: they have not in three minutes.
        """
        try:
            async with asyncio.timeout(_DEADLINE_S):
                while len(self.at_s) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            came = f"{len(self.at_s)} of {count} events have come in {_DEADLINE_S:.0f} s"
            raise TimeoutError(came) from error

    async def stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        await self._consumer.stop()
