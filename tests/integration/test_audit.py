"""The audit log of a service on each kind of database: all of it, by page and by what is wanted."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, update

from contracts.events.orders import CreditAgreed
from slackwater import audit
from slackwater.audit import Entry, Wanted, find_known, read_entries
from slackwater.database.port import Database
from slackwater.database.sqlite import SqliteDatabase
from slackwater.events.event import Cause
from slackwater.manifest import Manifest
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.service.migrations import migrate
from slackwater.testing import counting
from tests.integration.service_bench import OpenDatabase

START = datetime(2026, 1, 1, tzinfo=UTC)

_COMMAND = (sys.executable, "-m", "slackwater.command_line", "audit")


class Log:
    """Counters that several actors raise, one every half second."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fill(self) -> None:
        """Raise c0 and c1 by turns, six times; ada does it three times, nobody named the rest."""
        await self._database.transact(counting.metadata.create_all)
        for number in range(6):
            cause = Cause(
                correlation_id=f"k{number // 2}",
                causation_id=f"raise/{number}",
                actor="ada" if number < 3 else None,
            )
            await self._raise(f"c{number % 2}", cause, START + timedelta(seconds=number / 2))

    async def _raise(self, counter_id: str, cause: Cause, at: datetime) -> None:
        await self._database.transact(
            lambda connection: counting.raise_counter(
                UnitOfWork(
                    connection,
                    source=counting.SOURCE,
                    tables=counting.tables,
                    event_types=counting.event_types,
                    cause=cause,
                    now=at,
                ),
                counter_id,
            )
        )

    async def read(
        self, *, after: int | None = None, limit: int = 100, **wanted: Any
    ) -> list[Entry]:
        return await self._database.read(
            lambda connection: read_entries(
                connection,
                counting.tables,
                Wanted(**wanted),
                aggregate_types=[counting.COUNTER],
                after=after,
                limit=limit,
            )
        )

    async def move(self, *, by: int) -> None:
        """Give all events other positions, one after another."""
        table = counting.tables.events
        moved = (
            update(table)
            .where(table.c.position == bindparam("old"))
            .values(position=table.c.position + by)
        )
        positions = [{"old": entry.position} for entry in await self.read()]
        await self._database.transact(
            lambda connection: connection.execute(moved, positions).close()
        )

    async def because(self, **wanted: Any) -> list[str | None]:
        return [entry.causation_id for entry in await self.read(**wanted)]

    async def known(self, *event_ids: str) -> dict[str, Any]:
        return await self._database.read(
            lambda connection: find_known(connection, counting.tables, "counting", event_ids)
        )


@pytest.fixture(params=[1, 4, 50_000])
async def log(
    open_database: OpenDatabase, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Log]:
    monkeypatch.setattr(audit, "_WINDOW", request.param)
    database = open_database("counting")
    log = Log(database)
    await log.fill()
    yield log
    await database.close()


async def test_an_entry_says_who_when_and_why(log: Log) -> None:
    entry = (await log.read())[3]
    assert (entry.recorded_at, entry.actor) == (START + timedelta(seconds=1.5), None)
    assert (entry.causation_id, entry.correlation_id) == ("raise/3", "k1")
    assert (entry.type, entry.schema_version) == ("counting.counter-raised", 1)
    assert (entry.aggregate_type, entry.aggregate_id, entry.version) == ("counter", "c1", 2)
    assert bytes(entry.data) == b'{"value":2}'


async def test_pages_hold_everything_once(log: Log) -> None:
    pages: list[Entry] = []
    while page := await log.read(after=pages[-1].position if pages else 0, limit=4):
        pages += page
    assert pages == await log.read()
    assert [entry.causation_id for entry in pages] == [f"raise/{number}" for number in range(6)]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"actor": "ada"}, [0, 1, 2]),
        ({"correlation_id": "k1"}, [2, 3]),
        ({"aggregate_id": "c1"}, [1, 3, 5]),
        ({"aggregate_id": "c1", "actor": "ada"}, [1]),
        ({"since": START + timedelta(seconds=1)}, [2, 3, 4, 5]),
        ({"since": START + timedelta(seconds=1, microseconds=1)}, [3, 4, 5]),
        ({"until": START + timedelta(seconds=1.5)}, [0, 1, 2]),
        ({"since": START + timedelta(seconds=0.5), "until": START + timedelta(seconds=1)}, [1]),
        ({"actor": "nobody"}, []),
    ],
)
async def test_only_what_is_wanted_is_read(
    log: Log, wanted: dict[str, Any], numbers: list[int]
) -> None:
    assert await log.because(**wanted) == [f"raise/{number}" for number in numbers]


async def test_events_that_were_taken_back_from_the_log_are_read_too(log: Log) -> None:
    whole = await log.read()
    await log.move(by=-4)
    entries = await log.read()
    assert [entry.position for entry in entries] == [-3, -2, -1, 0, 1, 2]
    assert [entry.event_id for entry in entries] == [entry.event_id for entry in whole]
    assert await log.because(aggregate_id="c1") == ["raise/1", "raise/3", "raise/5"]
    assert await log.because(after=-2, actor="ada") == ["raise/2"]
    assert await log.because(after=0) == ["raise/4", "raise/5"]


async def test_a_table_without_events_has_no_entries(open_database: OpenDatabase) -> None:
    database = open_database("counting")
    await database.transact(counting.metadata.create_all)
    assert await Log(database).read() == []
    await database.close()


async def test_an_event_that_caused_another_is_found_by_its_id(log: Log) -> None:
    [first, *_] = await log.read()
    known = await log.known(first.event_id, "raise/1")
    assert list(known) == [first.event_id]
    assert (known[first.event_id].aggregate_id, known[first.event_id].version) == ("c0", 1)


async def test_a_look_makes_no_database_of_a_service_that_has_never_run_there(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "services"
    await _tell_of_an_order(folder / "orders.sqlite")
    read = await asyncio.to_thread(_audit, "orders", tmp_path)
    assert (read.returncode, read.stderr) == (0, "")
    assert "because of elsewhere" in read.stdout
    refused = await asyncio.to_thread(_audit, "customers", tmp_path)
    assert refused.returncode == 1
    assert f"{tmp_path} holds no database of customers" in refused.stderr
    assert {path.stem for path in folder.glob("*.sqlite")} == {"orders"}


async def _tell_of_an_order(path: Path) -> None:
    """Store an event of an order that another service's has caused."""
    orders = Manifest().service("orders")
    database = SqliteDatabase(path)

    def work(connection: Connection) -> None:
        migrate(connection, orders.migrations)
        cause = Cause(correlation_id="k", causation_id="elsewhere")
        unit = orders.unit_of_work(connection, cause=cause, now=START)
        unit.add(CreditAgreed(), aggregate_id="o", version=1, partition_key="c")

    await database.transact(work)
    await database.close()


def _audit(source: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_COMMAND, source, "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
