"""Threads that read an SQLite file, each work in a snapshot of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from slackwater.sqlite.driver import storage_error_of
from slackwater.sqlite.writer import ConnectionT, Opened

T = TypeVar("T")

_THREADS = 2


class Readers(Generic[ConnectionT]):
    """A few threads with a connection each."""

    def __init__(
        self, name: str, open_connection: Callable[[], Opened[ConnectionT]], threads: int = _THREADS
    ) -> None:
        self._open = open_connection
        self._local = threading.local()
        self._opened: list[Opened[ConnectionT]] = []
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"read {name}")

    async def run(self, work: Callable[[ConnectionT], T]) -> T:
        """Run `work` in a snapshot that contains every commit that returned before."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._read, work)

    def close(self) -> None:
        self._executor.shutdown()
        for opened in self._opened:
            opened.close()

    def _read(self, work: Callable[[ConnectionT], T]) -> T:
        opened = self._connection()
        try:
            opened.driver.execute("BEGIN")
            return work(opened.facade)
        except Exception as error:
            if (trouble := storage_error_of(error)) is not None:
                raise trouble from error
            raise
        finally:
            if opened.driver.in_transaction:
                opened.driver.execute("ROLLBACK")

    def _connection(self) -> Opened[ConnectionT]:
        opened: Opened[ConnectionT] | None = getattr(self._local, "opened", None)
        if opened is None:
            opened = self._local.opened = self._open()
            self._opened.append(opened)
        return opened
