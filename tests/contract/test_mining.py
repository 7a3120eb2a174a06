"""Mined sources keep the contract of every source, and what is their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from slackwater.database.port import Database
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.postgresql_doorbell import PostgresqlDoorbell
from slackwater.doorbell import Doorbell
from slackwater.mining.miner import prepare_slot, slot_of
from slackwater.mining.slot import UnminableError
from slackwater.testing import counting
from slackwater.testing.event_source_contract import EventSourceContract
from slackwater.testing.relay_contract import (
    SourceContract,
    has_events,
    has_watermarks,
    running,
    until,
)
from slackwater.testing.relay_writers_contract import RelayWritersContract
from tests.contract.mined_sources import MinedMessages, MinedOutbox, schema_of
from tests.postgresql_server import administrator_of, own_database, role_of, url_of

pytestmark = pytest.mark.engine("postgresql")


class PostgresqlSources(SourceContract):
    """Opens sources in a database of the test's own."""

    adapter = PostgresqlDatabase

    @pytest.fixture(autouse=True)
    def server(self, tmp_path: Path) -> Iterator[None]:
        with own_database(tmp_path):
            yield

    @asynccontextmanager
    async def open_database(self, directory: Path) -> AsyncIterator[tuple[Database, Doorbell]]:
        with closing(PostgresqlDoorbell(url_of(directory))) as doorbell:
            database = PostgresqlDatabase(url_of(directory), schema=schema_of(directory))
            yield database, doorbell
            await database.close()

    def opening_program(self, directory: Path) -> str:
        url, schema = url_of(directory), schema_of(directory)
        return (
            "from slackwater.database.postgresql import PostgresqlDatabase\n"
            "from slackwater.database.postgresql_doorbell import PostgresqlDoorbell\n"
            f"database = PostgresqlDatabase({url!r}, schema={schema!r})\n"
            f"doorbell = PostgresqlDoorbell({url!r})\n"
        )


class TestMinedOutbox(PostgresqlSources, EventSourceContract, RelayWritersContract):
    source_type = MinedOutbox


class TestMinedMessages(PostgresqlSources, EventSourceContract, RelayWritersContract):
    source_type = MinedMessages

    async def test_messages_of_others_in_the_same_database_are_left_alone(
        self, source: MinedMessages
    ) -> None:
        def emit(connection: Connection) -> None:
            connection.execute(text("SELECT pg_logical_emit_message(true, 'others', 'not ours')"))

        async with running(source.relay()):
            await source.database.transact(emit)
            await source.raise_counter("c1")
            await until(lambda: has_events(source, 1))

    async def test_a_lost_slot_begins_another_timeline(self, source: MinedMessages) -> None:
        await _published(source, 3)
        await source.mined.outside(slot_of(source.mined, source.reading).drop)
        await source.raise_counter("lost with the slot")
        async with running(source.relay()):
            await until(lambda: _began_timelines(source, 2))
            await until(lambda: _has_slot(source))
            await source.raise_counter("c1")
            await until(lambda: has_events(source, 4))
        assert {event.aggregate_id for event in await source.events()} == {"c1"}


class TestLostRows(PostgresqlSources):
    """What is the outbox's own: its rows are there, whatever becomes of the slot."""

    source_type = MinedOutbox

    async def test_a_lost_slot_costs_nothing(self, source: MinedOutbox) -> None:
        await _published(source, 3)
        await source.mined.outside(slot_of(source.mined, source.reading).drop)
        await source.raise_counter("c1")
        async with running(source.relay()):
            await until(lambda: _has_slot(source))
            await source.raise_counter("c1")
            await until(lambda: has_events(source, 5))
            await until(lambda: _is_marked(source))
        assert await _began_timelines(source, 1)

    async def test_what_was_to_be_polled_is_published_before_anything_is_mined(
        self, source: MinedOutbox
    ) -> None:
        await source.mined.outside(slot_of(source.mined, source.reading).drop)
        for _ in range(3):
            await source.raise_counter("c1")
        await source.mined.outside(slot_of(source.mined, source.reading).make_again)
        await _published(source, 2, known=3)
        assert [event.version for event in await source.events()] == [1, 2, 3, 4, 5]

    async def test_an_idle_source_lets_the_server_remove_what_others_write(
        self, source: MinedOutbox
    ) -> None:
        def write_elsewhere(connection: Connection) -> None:
            connection.execute(text("CREATE TABLE IF NOT EXISTS elsewhere (filler text)"))
            fill = "INSERT INTO elsewhere SELECT repeat('x', 1000) FROM generate_series(1, 5000)"
            connection.execute(text(fill))

        async def keeps_little() -> bool:
            slot = slot_of(source.mined, source.reading)
            state = await source.mined.outside(slot.state)
            return state is not None and state.retained_bytes < _FEW_BYTES

        async with running(source.relay()):
            await until(lambda: has_watermarks(source))
            await source.database.transact(write_elsewhere)
            await until(keeps_little)

    async def test_a_role_that_may_not_mine_is_told_what_it_lacks(
        self, source: MinedOutbox, tmp_path: Path
    ) -> None:
        with role_of(tmp_path) as role:
            database = PostgresqlDatabase(url_of(tmp_path, role), schema=f"{role}_own")
            with administrator_of(tmp_path) as connection:
                connection.execute(f"CREATE SCHEMA {role}_own AUTHORIZATION {role}".encode())
            await database.transact(counting.metadata.create_all)
            with pytest.raises(UnminableError, match="REPLICATION"):
                await prepare_slot(database, source.reading)
            await database.close()
            with administrator_of(tmp_path) as connection:
                connection.execute(f"DROP SCHEMA {role}_own CASCADE".encode())


_FEW_BYTES = 2_000_000


async def _published(source: MinedOutbox, count: int, known: int = 0) -> None:
    """Run a miner until it has published and marked so many more."""
    async with running(source.relay()):
        await until(lambda: has_watermarks(source))
        for _ in range(count):
            await source.raise_counter("c1")
        await until(lambda: has_events(source, known + count))
        await until(lambda: _is_marked(source))


async def _is_marked(source: MinedOutbox) -> bool:
    return await source.unpublished() == 0


async def _has_slot(source: MinedOutbox) -> bool:
    slot = slot_of(source.mined, source.reading)
    return not await source.mined.outside(slot.is_lost)


async def _began_timelines(source: MinedOutbox, count: int) -> bool:
    return len({each.timeline for each in await source.announced()}) == count
