"""Each service's migrations lead to exactly the tables that it declares."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from slackwater.database.sqlite import SqliteDatabase
from slackwater.outbox.schema import EventsRemovedError, allow_removal, forbid_removal
from slackwater.service.definition import ServiceDefinition
from slackwater.service.migrations import migrate
from tests.integration.service_bench import OpenDatabase, running
from write_services.customers.service import service as customers
from write_services.inventory.service import service as inventory
from write_services.orders.service import service as orders

every_service = pytest.mark.parametrize(
    "service", [customers, inventory, orders], ids=lambda service: service.name
)


@every_service
async def test_alembic_finds_nothing_left_to_do(
    service: ServiceDefinition, open_database: OpenDatabase
) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, service.metadata))

    async with running(service, open_database) as bench:
        assert await bench.database.read(differences) == []


@every_service
async def test_instances_that_start_at_once_migrate_once(
    service: ServiceDefinition, open_database: OpenDatabase
) -> None:
    async with AsyncExitStack() as stack:
        starts = [stack.enter_async_context(running(service, open_database)) for _ in range(4)]
        benches = await asyncio.gather(*starts)
        assert [await bench.violations() for bench in benches] == [[]] * 4


@every_service
async def test_migrated_tables_are_the_declared_ones_to_the_letter(
    service: ServiceDefinition, tmp_path: Path
) -> None:
    declared = SqliteDatabase(tmp_path / "declared.sqlite")
    async with running(service, lambda name: SqliteDatabase(tmp_path / f"{name}.sqlite")) as bench:
        await declared.transact(service.metadata.create_all)
        assert await bench.database.read(schema) == await declared.read(schema)
    await declared.close()


@every_service
async def test_migrating_again_changes_nothing(service: ServiceDefinition, tmp_path: Path) -> None:
    async with running(service, lambda name: SqliteDatabase(tmp_path / f"{name}.sqlite")) as bench:
        before = await bench.database.read(schema)
        await bench.database.transact(lambda connection: migrate(connection, service.migrations))
        assert await bench.database.read(schema) == before


async def test_a_database_does_not_forget_that_events_were_removed(
    open_database: OpenDatabase,
) -> None:
    database = open_database("counting")

    def operate(connection: Connection, operation: Callable[..., None]) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            operation(events="outbox")

    def tables(connection: Connection) -> set[str]:
        return set(inspect(connection).get_table_names())

    await database.transact(lambda connection: operate(connection, allow_removal))
    await database.transact(lambda each: each.execute(text("INSERT INTO removed VALUES (1, 3)")))
    with pytest.raises(EventsRemovedError, match="3 events were removed"):
        await database.transact(lambda connection: operate(connection, forbid_removal))
    assert await database.read(tables) == {"removed", "outbox_refill"}
    await database.transact(lambda each: each.execute(text("UPDATE removed SET events = 0")))
    await database.transact(lambda connection: operate(connection, forbid_removal))
    assert await database.read(tables) == set()
    await database.close()


def schema(connection: Connection) -> dict[str, str]:
    """Return the statement of every table and index but alembic's own, in single spaces.

    SQLite writes a column that was added later into the statement without a line of its own.
    """
    rows = connection.execute(
        text("SELECT name, sql FROM sqlite_master WHERE tbl_name <> 'alembic_version'")
    )
    return {name: " ".join((sql or "").split()) for name, sql in rows if name != "sqlite_sequence"}
