"""The relay keeps its contract on the embedded database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from slackwater.database.port import Database
from slackwater.database.sqlite import SqliteDatabase
from slackwater.doorbell import Doorbell
from slackwater.sockets_doorbell import SocketDoorbell
from slackwater.testing.event_source_contract import EventSourceContract
from slackwater.testing.relay_cleaning_contract import RelayCleaningContract
from slackwater.testing.relay_contract import RelayContract, SourceContract
from slackwater.testing.relay_lineage_contract import RelayLineageContract
from slackwater.testing.relay_writers_contract import RelayWritersContract
from tests.contract.cleaned_sources import CleanedSource
from tests.unordered import reversing_unordered


class SqliteSources(SourceContract):
    adapter = SqliteDatabase

    @asynccontextmanager
    async def open_database(self, directory: Path) -> AsyncIterator[tuple[Database, Doorbell]]:
        with closing(SocketDoorbell(directory)) as doorbell:
            database = SqliteDatabase(directory / "counting.sqlite")
            yield reversing_unordered(database), doorbell
            await database.close()

    def opening_program(self, directory: Path) -> str:
        return (
            "from pathlib import Path\n"
            "from slackwater.database.sqlite import SqliteDatabase\n"
            "from slackwater.sockets_doorbell import SocketDoorbell\n"
            f"database = SqliteDatabase(Path({str(directory)!r}) / 'counting.sqlite')\n"
            f"doorbell = SocketDoorbell(Path({str(directory)!r}))\n"
        )


class TestSqliteRelay(
    SqliteSources,
    RelayContract,
    EventSourceContract,
    RelayLineageContract,
    RelayCleaningContract,
    RelayWritersContract,
):
    """The relay of a source that keeps everything."""

    adapter = SqliteDatabase


class TestSqliteRelayThatCleans(SqliteSources, EventSourceContract, RelayWritersContract):
    """Whatever happens to relays, removing events beside it does no harm."""

    adapter = SqliteDatabase
    source_type = CleanedSource
