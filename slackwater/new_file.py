"""New SQLite files that appear whole, with their schema, or not at all.

Processes start at the same moment. A file that exists without its tables, or half-way into
write-ahead mode, would fail whoever opens it second; so it is built aside and then linked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from slackwater.ids import new_id
from slackwater.sqlite.driver import Connection, connect


def create_file(path: Path, build: Callable[[Connection], None]) -> None:
    """Create the file unless it is there; it is durable when this returns."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"draft-{new_id()}")
    try:
        with closing(connect(draft)) as connection:
            build(connection)
        with suppress(FileExistsError):  # another process was faster
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
