"""Leases beside an SQLite file: locks of the operating system, which end with their process."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TextIO

from slackwater.database.port import Session

_LOOK_INTERVAL_S = 0.1


@asynccontextmanager
async def hold_file(path: Path, role: str, session: Session) -> AsyncIterator[Session]:
    """Hold the lock of `role` on the database at `path`; its work runs in `session`.

    A file's lock cannot be lost while its process lives, so the session needs no watching.
    """
    with path.with_name(f"{path.stem}.{role}.lease").open("w") as file:
        while not _try_lock(file):  # noqa: ASYNC110 - other processes hold it
            await asyncio.sleep(_LOOK_INTERVAL_S)
        yield session


def _try_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
