"""New files that appear whole or not at all.

Processes start at the same moment, and may die at any. A file that exists without its content would
fail whoever opens it second; so it is built aside and then linked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from slackwater.ids import new_id


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Yield where to build the file; it appears and is durable when this ends.

    If another process is faster, the file is what that one has built.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"draft-{new_id()}")
    try:
        yield draft
        with suppress(FileExistsError):
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
