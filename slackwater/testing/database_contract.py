"""The contract of a service's database: every adapter passes it before it is called ready.

Subclass `DatabaseContract` in a test module, name its `adapter`, say how a handle on the database
of a directory is opened here and in another process, and run it with pytest and pytest-asyncio in
automatic mode. Two handles on one directory must behave as two processes would.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from slackwater.database.port import Database
from slackwater.errors import TransientError
from slackwater.outbox.unit_of_work import ForgottenEventError, UnitOfWork
from slackwater.testing.claims import AdapterContract, Guarantee, holds
from slackwater.testing.counting import (
    counters,
    metadata,
    raise_counter,
    tables,
    unit_of_work,
)

Opener = Callable[[], Awaitable[Database]]

_DEADLINE_S = 20.0
_TAKEOVER_S = 5.0

_RAISE_FOR_EVER = """
import asyncio
from slackwater.testing.counting import raise_counter, unit_of_work
async def main():
    def work(connection):
        return unit_of_work(connection).run(lambda unit: raise_counter(unit, "c"))
    while True:
        print(await database.transact(work), flush=True)
asyncio.run(main())
"""
_HOLD_FOR_EVER = """
import asyncio
async def main():
    async with database.lease("r"):
        print("held", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


class DatabaseContract(AdapterContract):
    """What every adapter of `Database` does; the test names are the contract."""

    @abstractmethod
    def open_database(self, directory: Path) -> AbstractAsyncContextManager[Database]:
        """Open one more handle on the database that belongs to `directory`."""

    @abstractmethod
    def opening_program(self, directory: Path) -> str:
        """Return Python source that binds `database` to such a handle, for another process."""

    @pytest.fixture
    async def open_handle(self, tmp_path: Path) -> AsyncIterator[Opener]:
        async with AsyncExitStack() as handles:

            async def open_one() -> Database:
                return await handles.enter_async_context(self.open_database(tmp_path))

            yield open_one

    @pytest.fixture
    async def database(self, open_handle: Opener) -> Database:
        database = await open_handle()
        await database.transact(metadata.create_all)
        return database

    @pytest.fixture
    async def other(self, database: Database, open_handle: Opener) -> Database:
        return await open_handle()

    @holds(Guarantee.ATOMICITY)
    async def test_work_that_raises_leaves_nothing_and_its_error_comes_out(
        self, database: Database
    ) -> None:
        error = ValueError("on purpose")
        with pytest.raises(ValueError, match="on purpose") as raised:
            await database.transact(_raising_after(lambda c: _raise(c, "c"), error))
        assert raised.value is error
        assert await database.read(_count_events) == 0

    async def test_work_of_others_is_kept_when_one_raises(self, database: Database) -> None:
        works = [
            _raising_after(lambda c: _raise(c, "c"), ValueError()) if number % 3 == 0 else _raise_c
            for number in range(30)
        ]
        outcomes = await asyncio.gather(*map(database.transact, works), return_exceptions=True)
        assert sum(isinstance(outcome, ValueError) for outcome in outcomes) == 10
        assert await database.read(_count_events) == 20
        assert await database.read(_value_of_c) == 20

    async def test_a_statement_that_would_commit_ends_no_transaction(
        self, database: Database
    ) -> None:
        def commits(connection: Connection) -> None:
            _raise(connection, "c")
            connection.commit()

        with pytest.raises(ValueError, match="on purpose"):
            await database.transact(_raising_after(commits, ValueError("on purpose")))
        assert await database.read(_count_events) == 0

    @holds(Guarantee.ORDER)
    async def test_a_read_sees_every_commit_that_returned_on_any_handle(
        self, database: Database, other: Database
    ) -> None:
        for number in range(0, 20, 2):
            await database.transact(_raise_c)
            assert await other.read(_count_events) == number + 1
            await other.transact(_raise_c)
            assert await database.read(_count_events) == number + 2

    async def test_a_read_of_one_statement_sees_every_commit_that_returned_on_any_handle(
        self, database: Database, other: Database
    ) -> None:
        for count in range(1, 6):
            await other.transact(_raise_c)
            assert await database.read_one(_value_of_c) == count

    async def test_a_read_is_one_snapshot_whatever_is_committed_meanwhile(
        self, database: Database, other: Database
    ) -> None:
        has_looked, may_go_on = threading.Event(), threading.Event()

        def look_twice(connection: Connection) -> tuple[int, int]:
            first = _count_events(connection)
            has_looked.set()
            assert may_go_on.wait(_DEADLINE_S)
            return first, _count_events(connection)

        reading = asyncio.create_task(database.read(look_twice))
        assert await asyncio.to_thread(has_looked.wait, _DEADLINE_S)
        await other.transact(_raise_c)
        may_go_on.set()
        assert await reading == (0, 0)
        assert await database.read(_count_events) == 1

    @holds(Guarantee.VERSION_GUARD)
    async def test_changes_of_what_was_read_before_lose_none(
        self, database: Database, other: Database
    ) -> None:
        values = await asyncio.gather(
            *(handle.transact(_raise_c) for _ in range(25) for handle in (database, other))
        )
        assert sorted(values) == list(range(1, 51))
        assert await database.read(_value_of_c) == 50
        assert await database.read(_versions_of_c) == list(range(1, 51))

    async def test_whoever_finds_nothing_and_inserts_is_never_doubled(
        self, database: Database, other: Database
    ) -> None:
        for number in range(10):

            def work(connection: Connection, name: str = f"c{number}") -> int:
                return _raise(connection, name)

            works = [handle.transact(work) for _ in range(3) for handle in (database, other)]
            assert sorted(await asyncio.gather(*works)) == [1, 2, 3, 4, 5, 6]

    async def test_work_is_not_outrun_in_what_it_has_locked(
        self, database: Database, other: Database
    ) -> None:
        """Each may give up its own only while the other holds: one of them must stay."""
        for number in range(10):
            pair = (f"left {number}", f"right {number}")
            await database.transact(lambda c, pair=pair: _insert_held(c, pair))  # type: ignore[misc]
            await asyncio.gather(
                database.transact(lambda c, pair=pair: _give_up(c, pair, own=pair[0])),  # type: ignore[misc]
                other.transact(lambda c, pair=pair: _give_up(c, pair, own=pair[1])),  # type: ignore[misc]
            )
            held = await database.read(lambda c, pair=pair: _held(c, pair))  # type: ignore[misc]
            assert held == 1

    async def test_a_key_that_stays_taken_is_the_works_own_error(self, database: Database) -> None:
        await database.transact(lambda connection: _insert_held(connection, ("c",)))
        with pytest.raises(IntegrityError):
            await database.transact(lambda connection: _insert_held(connection, ("c",)))

    async def test_a_change_without_an_event_is_refused(self, database: Database) -> None:
        def forget(unit: UnitOfWork) -> None:
            unit.connection.execute(counters.insert().values(id="c", value=1))

        with pytest.raises(ForgottenEventError):
            await database.transact(lambda connection: unit_of_work(connection).run(forget))
        assert await database.read(_value_of_c) is None

    @holds(Guarantee.DURABILITY)
    async def test_what_returned_outlives_a_killed_process(
        self, database: Database, tmp_path: Path
    ) -> None:
        async with self._running(tmp_path, _RAISE_FOR_EVER) as (process, lines):
            for _ in range(20):
                acknowledged = int(await lines())
            process.kill()
            await process.wait()
        assert (await database.read(_value_of_c) or 0) >= acknowledged

    async def test_work_after_closing_is_refused(self, database: Database) -> None:
        await database.close()
        with pytest.raises(TransientError, match="closed"):
            await database.transact(_raise_c)

    @holds(Guarantee.FENCING)
    async def test_a_lease_has_one_holder_at_a_time(
        self, database: Database, other: Database
    ) -> None:
        async with asyncio.timeout(_DEADLINE_S):
            async with database.lease("r"):
                waiting = asyncio.create_task(_hold(other, "r"))
                async with other.lease("another role"):
                    assert not waiting.done()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(waiting), 0.6)
            await waiting

    async def test_whoever_gives_up_waiting_for_a_lease_takes_it_from_nobody(
        self, database: Database, other: Database
    ) -> None:
        async with asyncio.timeout(_DEADLINE_S), database.lease("r"):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(_hold(other, "r"), 0.1)
        async with asyncio.timeout(_DEADLINE_S):
            await _hold(other, "r")

    async def test_the_session_of_a_lease_works_on_the_same_database(
        self, database: Database
    ) -> None:
        async with asyncio.timeout(_DEADLINE_S), database.lease("r") as session:
            assert await session.transact(_raise_c) == 1
            assert await database.transact(_raise_c) == 2
            assert await session.read(_value_of_c) == 2

    async def test_a_killed_holder_of_a_lease_is_succeeded_within_seconds(
        self, database: Database, tmp_path: Path
    ) -> None:
        async with self._running(tmp_path, _HOLD_FOR_EVER) as (process, lines):
            assert await lines() == "held"
            process.kill()
            async with asyncio.timeout(_TAKEOVER_S):
                await _hold(database, "r")

    @asynccontextmanager
    async def _running(
        self, directory: Path, program: str
    ) -> AsyncIterator[tuple[asyncio.subprocess.Process, Callable[[], Awaitable[str]]]]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", self.opening_program(directory) + program),
            stdout=asyncio.subprocess.PIPE,
        )
        stdout = process.stdout
        assert stdout is not None

        async def line() -> str:
            async with asyncio.timeout(_DEADLINE_S):
                return (await stdout.readline()).decode().strip()

        try:
            yield process, line
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def _hold(database: Database, role: str) -> None:
    async with database.lease(role):
        pass


def _raise(connection: Connection, counter_id: str) -> int:
    return unit_of_work(connection).run(lambda unit: raise_counter(unit, counter_id))


def _raise_c(connection: Connection) -> int:
    return _raise(connection, "c")


def _raising_after(
    work: Callable[[Connection], object], error: Exception
) -> Callable[[Connection], int]:
    def raising(connection: Connection) -> int:
        work(connection)
        raise error

    return raising


def _value_of_c(connection: Connection) -> int | None:
    return connection.scalar(select(counters.c.value).where(counters.c.id == "c"))


def _versions_of_c(connection: Connection) -> list[int]:
    events = tables.events
    return list(connection.scalars(select(events.c.version).order_by(events.c.position)))


def _count_events(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(tables.events)).scalar_one()


def _insert_held(connection: Connection, ids: tuple[str, ...]) -> None:
    connection.execute(insert(counters), [{"id": each, "value": 1} for each in ids])


def _give_up(connection: Connection, ids: tuple[str, ...], *, own: str) -> None:
    query = select(counters.c.value).where(counters.c.id.in_(ids)).order_by(counters.c.id)
    if sum(connection.scalars(query.with_for_update())) == len(ids):
        connection.execute(update(counters).where(counters.c.id == own).values(value=0))


def _held(connection: Connection, ids: tuple[str, ...]) -> int:
    return sum(connection.scalars(select(counters.c.value).where(counters.c.id.in_(ids))))
