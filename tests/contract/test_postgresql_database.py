"""PostgreSQL keeps the contract of a database, and what is its own beside that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from slackwater.database.port import (
    ContendedError,
    Database,
    DatabaseError,
    LostLeaseError,
    UnstorableTextError,
)
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.postgresql_start import (
    ForeignSchemaError,
    NotDurableError,
    SchemaNameError,
    require_durable,
)
from slackwater.database.postgresql_transaction import AbortedTransactionError, driver_of
from slackwater.errors import UnknownOutcomeError
from slackwater.testing.counting import counters, metadata, raise_counter, unit_of_work
from slackwater.testing.database_contract import DatabaseContract
from tests.postgresql_server import (
    administrator,
    administrator_of,
    end_connections,
    name_of,
    own_database,
    role_of,
    url_of,
)

pytestmark = pytest.mark.engine("postgresql")


class TestPostgresqlDatabase(DatabaseContract):
    adapter = PostgresqlDatabase

    @pytest.fixture(autouse=True)
    def server(self, tmp_path: Path) -> Iterator[None]:
        with own_database(tmp_path):
            yield

    @asynccontextmanager
    async def open_database(self, directory: Path) -> AsyncIterator[Database]:
        database = PostgresqlDatabase(url_of(directory), schema="counting")
        yield database
        await database.close()

    def opening_program(self, directory: Path) -> str:
        return (
            "from slackwater.database.postgresql import PostgresqlDatabase\n"
            f"database = PostgresqlDatabase({url_of(directory)!r}, schema='counting')\n"
        )

    async def test_a_server_that_may_forget_is_refused(self, tmp_path: Path) -> None:
        with administrator() as connection:
            connection.execute(f"ALTER DATABASE {name_of(tmp_path)} SET synchronous_commit = off")
        async with self.open_database(tmp_path) as database:
            with pytest.raises(NotDurableError, match="synchronous_commit = on"):
                await database.read(count)

    async def test_a_server_that_is_away_is_trouble_that_passes(self) -> None:
        database = PostgresqlDatabase("postgresql://nobody@127.0.0.1:1/none")
        with pytest.raises(DatabaseError, match="no connection"):
            await database.transact(count)
        with pytest.raises(DatabaseError, match="no connection"):
            async with database.lease("r"):
                pass
        await database.close()

    async def test_connections_that_ended_while_idle_are_replaced_unnoticed(
        self, database: Database, tmp_path: Path
    ) -> None:
        await asyncio.gather(*(database.transact(raise_c) for _ in range(12)))
        assert end_connections(tmp_path, "slackwater%") > 1
        assert await database.transact(raise_c) == 13
        assert await database.read(count) == 13

    async def test_a_connection_lost_within_work_has_changed_nothing(
        self, database: Database, tmp_path: Path
    ) -> None:
        runs = []

        def loses(connection: Connection) -> None:
            runs.append(raise_c(connection))
            end_connections(tmp_path, "slackwater%")
            raise_c(connection)

        with pytest.raises(DatabaseError):
            await database.transact(loses)
        assert (runs, await database.read(count)) == ([1], 0)

    @pytest.mark.parametrize("has_happened", [True, False])
    async def test_a_connection_lost_at_the_commit_tells_that_nobody_knows(
        self, database: Database, has_happened: bool
    ) -> None:
        runs = []

        def loses(connection: Connection) -> None:
            runs.append(raise_c(connection))
            lose_the_commit(connection, has_happened=has_happened)

        with pytest.raises(UnknownOutcomeError, match="idempotency key"):
            await database.transact(loses)
        assert (runs, await database.read(count)) == ([1], int(has_happened))

    async def test_work_that_swallowed_a_failed_statement_is_not_taken_for_committed(
        self, database: Database
    ) -> None:
        def swallows(connection: Connection) -> None:
            raise_c(connection)
            with suppress(DBAPIError):
                connection.exec_driver_sql("SELECT 1 / 0")

        with pytest.raises(AbortedTransactionError):
            await database.transact(swallows)
        assert await database.read(count) == 0

    async def test_whoever_loses_every_race_is_told_within_a_bounded_time(
        self, database: Database, tmp_path: Path
    ) -> None:
        hasty = PostgresqlDatabase(url_of(tmp_path), schema="counting", repeat_timeout_ms=100)
        await database.transact(raise_c)
        loop = asyncio.get_running_loop()

        def is_outrun(connection: Connection) -> None:
            count(connection)
            asyncio.run_coroutine_threadsafe(database.transact(raise_c), loop).result(10)
            raise_c(connection)

        with pytest.raises(ContendedError, match="others were in the way"):
            await hasty.transact(is_outrun)
        await hasty.close()

    async def test_a_deadlock_is_resolved_by_running_one_again(self, database: Database) -> None:
        await asyncio.gather(*(database.transact(lambda c, n=n: raise_in(c, n)) for n in "ab"))  # type: ignore[misc]
        both_hold = threading.Barrier(2)

        def raise_both(connection: Connection, first: str, second: str) -> None:
            raise_in(connection, first)
            with suppress(threading.BrokenBarrierError):
                both_hold.wait(5)
            both_hold.abort()
            raise_in(connection, second)

        await asyncio.gather(
            database.transact(lambda connection: raise_both(connection, "a", "b")),
            database.transact(lambda connection: raise_both(connection, "b", "a")),
        )
        assert await database.read(values) == {"a": 3, "b": 3}

    async def test_a_nul_in_a_text_is_the_senders_error(self, database: Database) -> None:
        with pytest.raises(UnstorableTextError):
            await database.transact(lambda connection: raise_in(connection, "c\0"))
        with pytest.raises(UnstorableTextError):
            await database.read(
                lambda connection: connection.scalar(select(counters).where(counters.c.id == "\0"))
            )

    async def test_a_lease_that_is_lost_within_a_transaction_ends_as_lost(
        self, database: Database
    ) -> None:
        def end_own_connection(connection: Connection) -> None:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

        with pytest.raises(LostLeaseError):
            async with database.lease("r") as session:
                await session.transact(end_own_connection)

    async def test_schemas_of_one_database_are_apart(
        self, database: Database, tmp_path: Path
    ) -> None:
        other = PostgresqlDatabase(url_of(tmp_path), schema="other")
        await other.transact(metadata.create_all)
        await other.transact(raise_c)
        assert (await other.read(count), await database.read(count)) == (1, 0)
        async with asyncio.timeout(10), database.lease("r"), other.lease("r"):
            pass
        await other.close()

    async def test_handles_that_start_at_once_create_the_schema_once(self, tmp_path: Path) -> None:
        handles = [PostgresqlDatabase(url_of(tmp_path), schema="fresh") for _ in range(4)]
        await asyncio.gather(*(each.read(select_one) for each in handles))
        for each in handles:
            await each.close()

    @pytest.mark.parametrize("schema", ["somebodys", "not_there_yet"])
    async def test_a_role_is_refused_a_schema_that_is_not_its_own(
        self, tmp_path: Path, schema: str
    ) -> None:
        with administrator_of(tmp_path) as connection, role_of(tmp_path) as role:
            connection.execute("CREATE SCHEMA somebodys")
            database = PostgresqlDatabase(url_of(tmp_path, role), schema=schema)
            with pytest.raises(ForeignSchemaError, match=f"{role} may not .* {schema}; "):
                await database.read(select_one)
            await database.close()


def test_a_schema_needs_a_plain_name() -> None:
    with pytest.raises(SchemaNameError):
        PostgresqlDatabase("postgresql://127.0.0.1/x", schema='no"name')


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_every_setting_that_durability_rests_on_is_checked(name: str) -> None:
    settings = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "server_encoding": "UTF8",
    }
    require_durable(settings)
    with pytest.raises(NotDurableError, match=f"set {name} = on"):
        require_durable({**settings, name: "off"})


def lose_the_commit(connection: Connection, *, has_happened: bool) -> None:
    """Let the connection break while the commit is on its way: before it arrives, or after."""
    driver = driver_of(connection)
    execute = driver.execute

    def breaking(query: bytes, **options: bool) -> object:
        if query == b"COMMIT":
            if has_happened:
                execute(query, **options)
            driver.pgconn.finish()
        return execute(query, **options)

    driver.execute = breaking  # type: ignore[method-assign, assignment]


def raise_in(connection: Connection, counter_id: str) -> int:
    return unit_of_work(connection).run(lambda unit: raise_counter(unit, counter_id))


def raise_c(connection: Connection) -> int:
    return raise_in(connection, "c")


def count(connection: Connection) -> int:
    return sum(values(connection).values())


def values(connection: Connection) -> dict[str, int]:
    return {row.id: row.value for row in connection.execute(select(counters))}


def select_one(connection: Connection) -> int:
    return connection.exec_driver_sql("SELECT 1").scalar_one()
