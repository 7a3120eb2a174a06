"""Leases beside an SQLite file: locks of the operating system, which end with their process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from slackwater.database.port import Session
from slackwater.file_lock import try_lock

_LOOK_INTERVAL_S = 0.1


@asynccontextmanager
async def hold_file(path: Path, role: str, session: Session) -> AsyncIterator[Session]:
    """Hold the lock of `role` on the database at `path`; its work runs in `session`.

    A file's lock cannot be lost while its process lives, so the session needs no watching.
    """
    with path.with_name(f"{path.stem}.{role}.lease").open("w") as file:
        while not try_lock(file):  # noqa: ASYNC110 - other processes hold it
            await asyncio.sleep(_LOOK_INTERVAL_S)
        yield session
