"""A lock between processes that is free again as soon as nobody who holds it lives."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.engines.errors import BusyError

_ASK_S = 0.1


@contextmanager
def locked(path: Path, *, wait_s: float, on_wait: Callable[[], None]) -> Iterator[int]:
    """Hold the lock at `path`; yield its descriptor.

    A child that inherits the descriptor (`pass_fds`) keeps the lock when its parent is killed, so
    that nobody writes where an orphan still does.

    Raises:
        BusyError: somebody else held it for `wait_s` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, path, wait_s, on_wait)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, wait_s: float, on_wait: Callable[[], None]) -> None:
    if _try(descriptor):
        return
    on_wait()
    give_up_s = time.monotonic() + wait_s
    while not _try(descriptor):
        if time.monotonic() > give_up_s:
            raise BusyError(
                f"{path} has been locked for {wait_s:.0f} s by another start; "
                "let it end or stop it, then try again"
            )
        time.sleep(_ASK_S)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
