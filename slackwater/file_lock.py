"""Locks of the operating system on files: they end with their process, however that ends."""

from __future__ import annotations

import fcntl
from typing import IO


def try_lock(file: IO[bytes] | IO[str]) -> bool:
    """Lock an open file unless somebody else has; tell whether it is ours."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(file: IO[bytes] | IO[str]) -> None:
    fcntl.flock(file, fcntl.LOCK_UN)
