"""How fast events get from a commit in PostgreSQL into Kafka, by each way of publishing.

    python -m benchmarks.atomicity [--events 30000] [--seconds 20] [--ways …] [--record]

Each way has a schema, a topic and a relay process of its own; the ways take turns in each measure.

cold      the relay is started on a backlog: events a second from the first that Kafka has to the
          last; `start_s` is the time until the first
warm      it runs, is stopped (SIGSTOP) while a backlog is written, and goes on: events a second
latency   200 transactions a second of one event each: from the commit's return until a consumer
          has the event
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import Connection, MetaData

from benchmarks.record import record
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.postgresql_doorbell import PostgresqlDoorbell
from slackwater.event_log.kafka import KafkaEventLog
from slackwater.event_log.kafka_driver import KafkaCluster
from slackwater.event_log.port import Topic
from slackwater.events.event import Cause, EventBody
from slackwater.events.types import EventTypes
from slackwater.mining.miner import Miner, slot_of
from slackwater.outbox.publishing import Publishing
from slackwater.outbox.relay import Relay, outbox_bell
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.watermarks.record import WATERMARKS

_PAYLOAD_BYTES = 300
_PARTITIONS = 6
_EVENTS_A_TRANSACTION = 100
_RATE = 200
_AGGREGATES = 1_000
_DEADLINE_S = 300.0


class Measured:
    """One way of publishing, with what it needs to be measured alone."""

    def __init__(self, way: Publishing, run: str, url: str, kafka: str) -> None:
        self.way = way
        self.source = f"bench_{way.lower()}_{run}"
        self.topic = Topic(name=f"{self.source}.events", partitions=_PARTITIONS)
        self.watermarks = WATERMARKS
        self.metadata = MetaData()
        self.tables = KernelTables(self.metadata, events="outbox")
        self.types = EventTypes()

        @self.types.register("bench.happened", aggregate_type="thing", topic=self.topic)
        class Happened(EventBody, frozen=True, kw_only=True):
            filler: str

        self._body = Happened(filler="x" * (_PAYLOAD_BYTES - len('{"filler":""}')))
        self.database = PostgresqlDatabase(url, schema=self.source)
        self.doorbell = PostgresqlDoorbell(url)
        self.log = KafkaEventLog(KafkaCluster(bootstrap_servers=kafka))
        self.versions = [0] * _AGGREGATES
        self.written = 0

    async def prepare(self) -> None:
        await self.database.transact(self.metadata.create_all)
        if self.way is Publishing.LOG_OUTBOX:
            await self.database.outside(slot_of(self.database, self.tables).make)
        await self.log.create_topics([self.topic, self.watermarks])

    def relay(self) -> Relay:
        common: dict[str, Any] = {
            "topics": [self.topic.name],
            "tables": self.tables,
            "database": self.database,
            "log": self.log,
            "doorbell": self.doorbell,
        }
        kind = Miner if self.way is Publishing.LOG_OUTBOX else Relay
        return kind(self.source, **common)

    def write(self, connection: Connection, count: int, start: int) -> None:
        unit = UnitOfWork(
            connection,
            source=self.source,
            tables=self.tables,
            event_types=self.types,
            cause=Cause.start(),
            now=datetime.now(UTC),
        )
        for number in range(start, start + count):
            aggregate, version = _event(number)
            unit.add(self._body, aggregate_id=aggregate, version=version, partition_key=aggregate)

    async def write_backlog(self, events: int) -> None:
        for _ in range(0, events, _EVENTS_A_TRANSACTION):
            await self._write(_EVENTS_A_TRANSACTION)
        self.doorbell.ring(outbox_bell(self.source))

    async def write_at_rate(self, seconds: float) -> dict[tuple[str, int], float]:
        """Commit event by event; return when the commit of each had returned."""
        committed_s: dict[tuple[str, int], float] = {}
        began_s = time.monotonic()
        for number in range(round(seconds * _RATE)):
            await asyncio.sleep(max(0.0, began_s + number / _RATE - time.monotonic()))
            at = _event(self.written)
            await self._write(1)
            committed_s[at] = time.monotonic()
            self.doorbell.ring(outbox_bell(self.source))
        return committed_s

    async def _write(self, count: int) -> None:
        await self.database.transact(partial(self.write, count=count, start=self.written))
        self.written += count

    async def close(self) -> None:
        if self.way is Publishing.LOG_OUTBOX:
            drop = "SELECT pg_drop_replication_slot(%s)"
            await self.database.outside(lambda each: each.execute(drop, [self.source]))
        await self.log.close()
        self.doorbell.close()
        await self.database.close()


@asynccontextmanager
async def relaying(measured: Measured, run: str) -> AsyncIterator[int]:
    """Run the relay of a way as a process of its own; yield its id."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.atomicity", "--relay", measured.way, "--run", run),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.terminate()
        await process.wait()


class Arrivals:
    """Reads a topic from its present end, and remembers when each event came."""

    def __init__(self, kafka: str, topic: Topic) -> None:
        self._topic = topic
        self._consumer = AIOKafkaConsumer(bootstrap_servers=kafka, fetch_max_wait_ms=50)
        self._changed = asyncio.Event()
        self.first_s = self.last_s = 0.0
        self.at_s: dict[tuple[str, int], float] = {}
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
            for records in (await self._consumer.getmany(timeout_ms=1_000)).values():
                now_s = time.monotonic()
                for each in records:
                    version = int(dict(each.headers)["ce_aggregateversion"])
                    self.at_s.setdefault((each.key.decode(), version), now_s)
                self.first_s = self.first_s or now_s
                self.last_s = now_s
                self._changed.set()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(_DEADLINE_S):
            while len(self.at_s) < count:
                self._changed.clear()
                await self._changed.wait()

    async def stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        await self._consumer.stop()


async def measure(
    measured: Measured, run: str, kafka: str, events: int, seconds: float
) -> dict[str, Any]:
    await measured.prepare()
    arrivals = Arrivals(kafka, measured.topic)
    await arrivals.start()
    await measured.write_backlog(events)
    began_s = time.monotonic()
    async with relaying(measured, run) as pid:
        await arrivals.wait_for(events)
        start_s, cold_s = arrivals.first_s - began_s, arrivals.last_s - arrivals.first_s
        await asyncio.sleep(1)
        os.kill(pid, signal.SIGSTOP)
        await measured.write_backlog(events)
        began_s = time.monotonic()
        os.kill(pid, signal.SIGCONT)
        await arrivals.wait_for(2 * events)
        warm_s = arrivals.last_s - began_s
        await asyncio.sleep(2)
        began_cpu = _cpu_s(pid)
        committed_s = await measured.write_at_rate(seconds)
        await arrivals.wait_for(measured.written)
        cpu_s = _cpu_s(pid) - began_cpu
    await arrivals.stop()
    waits_ms = [(arrivals.at_s[at] - since_s) * 1_000 for at, since_s in committed_s.items()]
    return {
        "start_s": round(start_s, 1),
        "cold_events_a_second": round(events / cold_s),
        "warm_events_a_second": round(events / warm_s),
        "latency_ms_p50": round(statistics.median(waits_ms), 1),
        "latency_ms_p99": round(statistics.quantiles(waits_ms, n=100)[98], 1),
        "relay_cpu_ms_an_event": round(cpu_s * 1_000 / len(waits_ms), 2),
    }


def _event(number: int) -> tuple[str, int]:
    """Return the aggregate and the version of the event with a number."""
    return str(number % _AGGREGATES), number // _AGGREGATES + 1


def _cpu_s(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ways", default="OUTBOX,LOG_OUTBOX")
    parser.add_argument("--relay", help="of the child process: the way that it relays")
    parser.add_argument("--run", default=secrets.token_hex(3))
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    url, kafka = os.environ["SLACKWATER_POSTGRESQL_URL"], os.environ["SLACKWATER_KAFKA_URL"]
    if options.relay:
        asyncio.run(Measured(Publishing(options.relay), options.run, url, kafka).relay().run())
        return
    rounds: list[dict[str, dict[str, Any]]] = []
    for number in range(options.rounds):
        found: dict[str, dict[str, Any]] = {}
        for way in options.ways.split(","):
            run = f"{options.run}{number}"
            measured = Measured(Publishing(way), run, url, kafka)
            found[way] = asyncio.run(_measured(measured, run, kafka, options))
            print(way, found[way], flush=True)
        rounds.append(found)
    if options.record:
        record("atomicity", "atomicity", {"events": options.events, "rounds": rounds})


async def _measured(
    measured: Measured, run: str, kafka: str, options: argparse.Namespace
) -> dict[str, Any]:
    try:
        return await measure(measured, run, kafka, options.events, options.seconds)
    finally:
        await measured.close()


if __name__ == "__main__":
    main()
