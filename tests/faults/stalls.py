"""What the machine itself held up, told by a witness that shares nothing else with Slackwater."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_EVERY_S = 0.02


class Witness:
    """Sleeps and flushes a page to storage in turn, and notes how long that ever took."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stopped = threading.Event()
        self._began_s = time.monotonic()
        self._worst_s = 0.0

    @property
    def worst_s(self) -> float:
        """The longest that the machine held it up, the turn that is under way included."""
        return max(self._worst_s, self._held_up_s())

    def _held_up_s(self) -> float:
        return time.monotonic() - self._began_s - _EVERY_S

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        """Look on until stopped."""
        page = os.open(self._path, os.O_CREAT | os.O_RDWR)
        try:
            while not self._stopped.is_set():
                self._began_s = time.monotonic()
                os.pwrite(page, b"x" * 4096, 0)
                os.fdatasync(page)
                self._stopped.wait(_EVERY_S)
                self._worst_s = self.worst_s
        finally:
            os.close(page)


@contextlib.contextmanager
def witnessed(folder: Path) -> Iterator[Witness]:
    """Run a witness on the storage of `folder` beside what is measured."""
    witness = Witness(folder / "witness")
    looking_on = threading.Thread(target=witness.run)
    looking_on.start()
    try:
        yield witness
    finally:
        witness.stop()
        looking_on.join()
