"""An SQLite file for raw SQL: one writer thread, a few readers, the driver's own connections."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from slackwater.sqlite.driver import Connection, Synchronous, connect
from slackwater.sqlite.readers import Readers
from slackwater.sqlite.writer import Opened, Writer

T = TypeVar("T")


class SqliteFile:
    """A file with its threads; `write` takes the write lock, `read` sees one snapshot."""

    def __init__(self, path: Path, synchronous: Synchronous = Synchronous.FULL) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)

        def open_connection() -> Opened[Connection]:
            connection = connect(path, synchronous)
            return Opened(connection, connection, connection.close)

        self.path = path
        self._writer = Writer(path, open_connection)
        self._readers = Readers(path.stem, open_connection)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that is durable when this returns."""
        return await self._writer.run(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a fresh snapshot."""
        return await self._readers.run(work)

    async def sync(self) -> None:
        """Return once every write that has returned is on the disk, however the file is opened."""
        await asyncio.to_thread(_sync, self.path.with_name(f"{self.path.name}-wal"))

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.close()
        self._readers.close()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
