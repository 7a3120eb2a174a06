"""Mined sources keep the contract of every source, and what is their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from slackwater.database.port import Database
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.postgresql_doorbell import PostgresqlDoorbell
from slackwater.doorbell import Doorbell
from slackwater.testing.event_source_contract import EventSourceContract
from slackwater.testing.relay_writers_contract import RelayWritersContract
from tests.contract.mined_sources import MinedMessages, MinedOutbox, schema_of
from tests.postgresql_server import own_database, url_of

pytestmark = pytest.mark.engine("postgresql")


class TestMinedOutbox(EventSourceContract, RelayWritersContract):
    adapter = PostgresqlDatabase
    source_type = MinedOutbox

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


class TestMinedMessages(TestMinedOutbox):
    source_type = MinedMessages
