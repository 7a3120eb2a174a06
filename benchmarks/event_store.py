"""The event store against the Python library `eventsourcing`, on the same PostgreSQL in one run.

    python -m pip install 'eventsourcing>=9.5,<9.6'
    python -m benchmarks.event_store [--rounds 5] [--seconds 5] [--record]

appends   16 writers, each with a stream of its own, that store one event after another: a second
loads     16 readers that make aggregates of 10 and of 1,000 events, without snapshots: a second

Both hold what they append to in memory and commit durably. `eventsourcing` runs as its guide has
it: an application with its PostgreSQL module and its own defaults, the pool as large as there are
writers, events in JSON. The contenders take turns, and the ratio is of their medians.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import uvloop
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from sqlalchemy import Connection

from benchmarks.record import record
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.event_store.aggregates import Aggregates, Loaded
from slackwater.event_store.event_store import EventStore
from slackwater.event_store.snapshots import Snapshots
from slackwater.events.event import Cause
from slackwater.ids import new_id
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.testing import counting
from slackwater.testing.counter_streams import Count, apply, metadata, tables

_WRITERS = 16
_READERS = 16
_LENGTHS = (10, 1_000)
_STREAMS = 20
_NEVER = 10**9


class Contender(Protocol):
    """An event store that is measured."""

    name: str

    def prepare(self) -> None:
        """Store the streams that will be loaded."""
        ...

    def append(self, seconds: float) -> float:
        """Return how many events a second 16 writers append."""
        ...

    def load(self, length: int, seconds: float) -> float:
        """Return how many aggregates of so many events 16 readers make in a second."""
        ...

    def close(self) -> None: ...


class Slackwater:
    """Ours."""

    name = "slackwater"

    def __init__(self, url: str, schema: str) -> None:
        self._loop = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._database = PostgresqlDatabase(url, schema=schema, writers=_WRITERS, readers=_READERS)
        streams = EventStore(
            tables, counting.event_types, counting.SOURCE, aggregate_type=counting.COUNTER
        )
        snapshots = Snapshots(streams, Count, schema_version=1)
        self._counts = Aggregates(streams, snapshots, apply=apply, every=_NEVER)
        self._streams: dict[int, list[str]] = {length: [] for length in _LENGTHS}

    def prepare(self) -> None:
        self._loop.run(self._database.transact(metadata.create_all))
        for length in _LENGTHS:
            for _ in range(_STREAMS):
                stream_id = new_id()
                self._streams[length].append(stream_id)
                self._loop.run(self._store(stream_id, Loaded(0, None), length))

    def append(self, seconds: float) -> float:
        return self._loop.run(self._append(seconds))

    def load(self, length: int, seconds: float) -> float:
        return self._loop.run(self._load(self._streams[length], length, seconds))

    def close(self) -> None:
        self._loop.run(self._database.close())
        self._loop.close()

    async def _append(self, seconds: float) -> float:
        began_s = time.monotonic()
        writers = (self._write(new_id(), began_s + seconds) for _ in range(_WRITERS))
        return sum(await asyncio.gather(*writers)) / (time.monotonic() - began_s)

    async def _write(self, stream_id: str, until_s: float) -> int:
        loaded = Loaded[Count](0, None)
        while time.monotonic() < until_s:
            loaded = await self._store(stream_id, loaded, 1)
        return loaded.version

    async def _store(self, stream_id: str, loaded: Loaded[Count], events: int) -> Loaded[Count]:
        bodies = [counting.CounterRaised(value=loaded.version + 1)] * events

        def work(connection: Connection) -> Loaded[Count]:
            unit = UnitOfWork(
                connection,
                source=counting.SOURCE,
                tables=tables,
                event_types=counting.event_types,
                cause=Cause.start(),
                now=datetime.now(UTC),
            )
            state = self._counts.append(unit, stream_id, loaded, bodies, stream_id)
            return Loaded(loaded.version + events, state)

        return await self._database.transact(work)

    async def _load(self, stream_ids: list[str], length: int, seconds: float) -> float:
        began_s = time.monotonic()
        readers = (
            self._read(stream_ids[number % len(stream_ids)], length, began_s + seconds)
            for number in range(_READERS)
        )
        return sum(await asyncio.gather(*readers)) / (time.monotonic() - began_s)

    async def _read(self, stream_id: str, length: int, until_s: float) -> int:
        done = 0
        while time.monotonic() < until_s:
            loaded = await self._database.read_one(
                lambda connection: self._counts.load(connection, stream_id)
            )
            assert loaded.state is not None
            assert loaded.state.raised == length
            done += 1
        return done


class Counter(Aggregate):
    """The same aggregate as `eventsourcing` has it."""

    def __init__(self) -> None:
        self.raised = 0
        self.total = 0

    @event("Raised")
    def raise_to(self, value: int) -> None:
        """Raise it."""
        self.raised += 1
        self.total += value


class Eventsourcing:
    """The library."""

    name = "eventsourcing"

    def __init__(self, url: str, schema: str) -> None:
        parts = urlsplit(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
        self._application: Application[UUID] = Application(
            env={
                "PERSISTENCE_MODULE": "eventsourcing.postgres",
                "POSTGRES_DBNAME": parts.path.lstrip("/"),
                "POSTGRES_HOST": parts.hostname or "127.0.0.1",
                "POSTGRES_PORT": str(parts.port or 5432),
                "POSTGRES_USER": parts.username or "postgres",
                "POSTGRES_PASSWORD": parts.password or "none",
                "POSTGRES_SCHEMA": schema,
                "POSTGRES_POOL_SIZE": str(_WRITERS),
            }
        )
        self._streams: dict[int, list[UUID]] = {length: [] for length in _LENGTHS}

    def prepare(self) -> None:
        for length in _LENGTHS:
            for _ in range(_STREAMS):
                counter = Counter()
                for number in range(1, length):
                    counter.raise_to(number)
                self._application.save(counter)
                self._streams[length].append(counter.id)

    def append(self, seconds: float) -> float:
        return _together([self._write] * _WRITERS, seconds)

    def load(self, length: int, seconds: float) -> float:
        stream_ids = self._streams[length]
        readers = [
            partial(self._read, stream_ids[number % len(stream_ids)], length)
            for number in range(_READERS)
        ]
        return _together(readers, seconds)

    def close(self) -> None:
        self._application.close()

    def _write(self, until_s: float) -> int:
        counter = Counter()
        while time.monotonic() < until_s:
            self._application.save(counter)
            counter.raise_to(counter.version)
        return counter.version - 1

    def _read(self, stream_id: UUID, length: int, until_s: float) -> int:
        done = 0
        while time.monotonic() < until_s:
            counter: Any = self._application.repository.get(stream_id)
            assert counter.version == length
            done += 1
        return done


def _together(workers: Sequence[Callable[[float], int]], seconds: float) -> float:
    """Run workers on threads for so long; return how much they have done a second."""
    began_s = time.monotonic()
    with ThreadPoolExecutor(len(workers)) as pool:
        done = [pool.submit(worker, began_s + seconds) for worker in workers]
        return sum(each.result() for each in done) / (time.monotonic() - began_s)


def measure(contender: Contender, seconds: float) -> dict[str, float]:
    """Return one round's figures."""
    figures: dict[str, Callable[[], float]] = {
        "appends": lambda: contender.append(seconds),
        **{
            f"loads_{length}": lambda length=length: contender.load(length, seconds)  # type: ignore[misc]
            for length in _LENGTHS
        },
    }
    return {name: round(figure(), 1) for name, figure in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    url, run = os.environ["SLACKWATER_POSTGRESQL_URL"], secrets.token_hex(4)
    schemas = f"bench_ours_{run}", f"bench_theirs_{run}"
    contenders: list[Contender] = [Slackwater(url, schemas[0]), Eventsourcing(url, schemas[1])]
    rounds: list[dict[str, dict[str, float]]] = []
    try:
        for contender in contenders:
            contender.prepare()
        for number in range(options.rounds):
            turns = contenders if number % 2 == 0 else contenders[::-1]
            rounds.append({each.name: measure(each, options.seconds) for each in turns})
            print(rounds[-1], flush=True)
    finally:
        for contender in contenders:
            contender.close()
        with psycopg.connect(url, autocommit=True) as connection:
            for schema in schemas:
                connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())
    medians = _medians(rounds)
    print(medians)
    if options.record:
        facts = {"load_average": os.getloadavg(), "seconds": options.seconds}
        record("event_store", "event-store", {**facts, "medians": medians, "rounds": rounds})


def _medians(rounds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the median of each figure by contender, with the ratio of ours to theirs."""
    found: dict[str, dict[str, float]] = {}
    for figure in rounds[0][Slackwater.name]:
        ours, theirs = (
            statistics.median(each[name][figure] for each in rounds)
            for name in (Slackwater.name, Eventsourcing.name)
        )
        found[figure] = {"ours": ours, "theirs": theirs, "ratio": round(ours / theirs, 2)}
    return found


if __name__ == "__main__":
    main()
