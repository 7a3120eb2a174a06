"""Counters in PostgreSQL, each test's in a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from hashlib import sha256
from pathlib import Path

import pytest

from slackwater.database.port import Database
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.postgresql_doorbell import PostgresqlDoorbell
from slackwater.doorbell import Doorbell
from slackwater.testing.relay_contract import SourceContract
from tests.postgresql_server import own_database, url_of


class PostgresqlSources(SourceContract):
    """Opens such sources."""

    adapter = PostgresqlDatabase

    @pytest.fixture(autouse=True)
    def server(self, tmp_path: Path) -> Iterator[None]:
        with own_database(tmp_path):
            yield

    @asynccontextmanager
    async def open_database(self, directory: Path) -> AsyncIterator[tuple[Database, Doorbell]]:
        with closing(PostgresqlDoorbell(url_of(directory))) as doorbell:
            database = database_of(directory)
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


def database_of(directory: Path, lease_timeout_ms: int = 10_000) -> PostgresqlDatabase:
    return PostgresqlDatabase(
        url_of(directory), schema=schema_of(directory), lease_timeout_ms=lease_timeout_ms
    )


def schema_of(directory: Path) -> str:
    """Name a schema as no other test does: slots are the whole server's."""
    return f"counting_{sha256(str(directory).encode()).hexdigest()[:12]}"
