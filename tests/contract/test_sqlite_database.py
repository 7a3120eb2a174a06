"""The embedded database keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from slackwater.database.port import Database
from slackwater.database.sqlite import SqliteDatabase
from slackwater.testing.database_contract import DatabaseContract


class TestSqliteDatabase(DatabaseContract):
    adapter = SqliteDatabase

    @asynccontextmanager
    async def open_database(self, directory: Path) -> AsyncIterator[Database]:
        database = SqliteDatabase(directory / "counting.sqlite")
        yield database
        await database.close()

    def opening_program(self, directory: Path) -> str:
        return (
            "from pathlib import Path\n"
            "from slackwater.database.sqlite import SqliteDatabase\n"
            f"database = SqliteDatabase(Path({str(directory)!r}) / 'counting.sqlite')\n"
        )
