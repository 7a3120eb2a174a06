"""One thread a process and file that writes, in groups: one disk flush for many commands.

Each command of a group has a savepoint of its own, so that one which raises takes back its own
changes and no other's. A future is resolved only after the group's commit has returned.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from slackwater.sqlite.driver import Connection, StorageError, storage_error_of
from slackwater.sqlite.turn import WriteTurn

_GROUP_MAX = 256
_QUEUE_MAX = 10_000

ConnectionT = TypeVar("ConnectionT")
T = TypeVar("T")


class Opened(NamedTuple, Generic[ConnectionT]):
    """What work gets to see, and the driver's connection below it."""

    facade: ConnectionT
    driver: Connection
    close: Callable[[], None]


class _Command(NamedTuple):
    work: Callable[[Any], Any]
    future: Future[Any]


class Writer(Generic[ConnectionT]):
    """Runs commands in transactions that take the write lock at their beginning, by turns."""

    def __init__(self, path: Path, open_connection: Callable[[], Opened[ConnectionT]]) -> None:
        self._path = path
        self._open = open_connection
        self._queue: queue.Queue[_Command | None] = queue.Queue(_QUEUE_MAX)
        self._thread = threading.Thread(target=self._run, name=f"write {path.stem}", daemon=True)
        self._closed = False
        self._closing = threading.Lock()  # so that no command is put behind the end
        self._thread.start()

    async def run(self, work: Callable[[ConnectionT], T]) -> T:
        """Run `work` in a transaction; durable when this returns, undone when it raises.

        Raises:
            StorageError: too many commands wait, or the file cannot be written.
        """
        future: Future[T] = Future()
        with self._closing:
            if self._closed:
                raise StorageError("the database is closed; start the part again")
            try:
                self._queue.put_nowait(_Command(work, future))
            except queue.Full:
                raise StorageError("too many commands wait for the database; try again") from None
        return await asyncio.shield(asyncio.wrap_future(future))

    def close(self) -> None:
        """Finish what waits, then close the connection."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        opened: Opened[ConnectionT] | None = None
        turn: WriteTurn | None = None
        while (group := self._next_group()) is not None:
            try:
                if opened is None:
                    opened = self._open()
                    opened.driver.execute("PRAGMA busy_timeout = 0")  # the turn does the waiting
                turn = turn or WriteTurn(self._path)
                outcomes = _run_group(opened, turn, group)
            except BaseException as error:
                outcomes = [_failure(error)] * len(group)
            for command, outcome in zip(group, outcomes, strict=True):
                _resolve(command.future, outcome)
        if opened is not None:
            opened.close()
        if turn is not None:
            turn.close()

    def _next_group(self) -> list[_Command] | None:
        first = self._queue.get()
        if first is None:
            return None
        group = [first]
        while len(group) < _GROUP_MAX:
            try:
                command = self._queue.get_nowait()
            except queue.Empty:
                break
            if command is None:
                self._queue.put(None)
                break
            group.append(command)
        return group


class _Failure(NamedTuple):
    error: BaseException


def _run_group(opened: Opened[Any], turn: WriteTurn, group: list[_Command]) -> list[Any]:
    """Run a group in one transaction; return a result or a `_Failure` for each command."""
    driver = opened.driver
    turn.begin(driver)
    try:
        outcomes = [_run_command(opened, command) for command in group]
        driver.execute("COMMIT")
    except BaseException:
        if driver.in_transaction:
            driver.execute("ROLLBACK")
        raise
    return outcomes


def _run_command(opened: Opened[Any], command: _Command) -> Any:
    driver = opened.driver
    driver.execute("SAVEPOINT command")
    try:
        outcome = command.work(opened.facade)
    except BaseException as error:
        if not driver.in_transaction:
            raise  # SQLite has undone the whole group: nothing of it may be acknowledged
        driver.execute("ROLLBACK TO command")
        outcome = _failure(error)
    driver.execute("RELEASE command")
    return outcome


def _failure(error: BaseException) -> _Failure:
    trouble = storage_error_of(error)
    if trouble is None:
        return _Failure(error)
    trouble.__cause__ = error
    return _Failure(trouble)


def _resolve(future: Future[Any], outcome: Any) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, _Failure):
        future.set_exception(outcome.error)
    else:
        future.set_result(outcome)
