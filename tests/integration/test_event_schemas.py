"""An event store that holds what this release cannot read is refused at the start."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert, select, update

from slackwater.database.port import Database
from slackwater.event_store.schemas import EventSchemas, UnknownSchemaError
from slackwater.testing import counting
from slackwater.testing.counter_streams import CounterStreams, metadata, tables
from slackwater.testing.doorbell import LocalDoorbell
from tests.integration.service_bench import OpenDatabase

SCHEMAS = EventSchemas(tables, counting.event_types, [counting.COUNTERS.name])
RAISED = "counting.counter-raised"


@pytest.fixture
async def database(open_database: OpenDatabase) -> AsyncIterator[Database]:
    database = open_database("counting")
    await database.transact(metadata.create_all)
    yield database
    await database.close()


async def raise_counter(database: Database) -> None:
    source = CounterStreams(database, LocalDoorbell(), log=None)  # type: ignore[arg-type]
    await source.raise_counter("c")


async def noted(database: Database) -> list[tuple[str, int]]:
    rows = await database.read(
        lambda connection: connection.execute(select(tables.event_schema)).all()
    )
    return [(row.type, row.schemaversion) for row in rows]


async def note(database: Database, name: str, version: int) -> None:
    row = {"type": name, "schemaversion": version}
    await database.transact(
        lambda connection: connection.execute(insert(tables.event_schema).values(row)).close()
    )


async def test_a_release_notes_what_it_writes_once(database: Database) -> None:
    for _ in range(2):
        await database.transact(SCHEMAS.require_known)
        assert await noted(database) == [(RAISED, 1)]


@pytest.mark.parametrize(
    ("stored", "noted_as"),
    [((RAISED, 2), "version 2"), (("counting.counter-lowered", 1), "counter-lowered version 1")],
    ids=["newer version", "unknown type"],
)
async def test_stored_events_that_it_cannot_read_are_refused_at_the_start(
    database: Database, stored: tuple[str, int], noted_as: str
) -> None:
    await raise_counter(database)
    await note(database, *stored)
    await database.transact(SCHEMAS.require_known)  # a newer release was here and wrote none
    rewritten = update(tables.events).values(type=stored[0], schemaversion=stored[1])
    await database.transact(lambda connection: connection.execute(rewritten).close())
    with pytest.raises(UnknownSchemaError, match=f"{noted_as} are stored.*later one"):
        await database.transact(SCHEMAS.require_known)
