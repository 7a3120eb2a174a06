"""New SQLite files that appear with their schema, and durably, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from slackwater.new_file import drafted
from slackwater.sqlite.driver import Connection, connect


def create_file(path: Path, build: Callable[[Connection], None]) -> None:
    """Create the file unless it is there; it is durable when this returns."""
    if path.exists():
        return
    with drafted(path) as draft, closing(connect(draft)) as connection:
        build(connection)
