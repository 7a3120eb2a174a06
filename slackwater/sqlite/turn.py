"""Turns at writing a file: whoever has waited comes before whoever has just written.

SQLite lets somebody write who asks at the right moment, and whoever is refused look again after up
to a tenth of a second. A process that writes without a pause so keeps all others away until their
patience ends. Here a writer takes the turn first, which is a lock beside the file, and gives it
back as soon as it may write: whoever writes has not got it and cannot get it before who waits.

    take the turn ──► begin, again and again ──► give the turn back ──► write, commit
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from slackwater.file_lock import try_lock, unlock
from slackwater.sqlite.driver import Connection, StorageError, is_busy

_PATIENCE_S = 10.0
_LOOK_INTERVAL_S = 0.0005


class WriteTurn:
    """One writer's place in the queue for a file; ends with its process, however that ends."""

    def __init__(self, path: Path, *, patience_s: float = _PATIENCE_S) -> None:
        """Queue for the database at `path`.

        Raises:
            StorageError: the file of the lock cannot be made.
        """
        self._patience_s = patience_s
        try:
            self._file = path.with_name(f"{path.stem}.turn").open("wb")
        except OSError as error:
            raise StorageError(f"no turn can be taken at {path}: {error}; mend that") from error

    def begin(self, driver: Connection) -> None:
        """Begin a transaction that may write, when it is this writer's turn.

        Raises:
            StorageError: others did not let it in for as long as it has patience.
        """
        deadline_s = time.monotonic() + self._patience_s
        self._look_until(lambda: try_lock(self._file), deadline_s)
        try:
            self._look_until(lambda: _try_begin(driver), deadline_s)
        finally:
            unlock(self._file)

    def close(self) -> None:
        self._file.close()

    def _look_until(self, is_so: Callable[[], bool], deadline_s: float) -> None:
        while not is_so():
            if time.monotonic() > deadline_s:
                raise StorageError(
                    f"others have kept the database locked for {self._patience_s:g} s; see what "
                    "writes to it, and try again"
                )
            time.sleep(_LOOK_INTERVAL_S)


def _try_begin(driver: Connection) -> bool:
    try:
        driver.execute("BEGIN IMMEDIATE")
    except Exception as error:
        if is_busy(error):
            return False
        raise
    return True
