"""Copies of SQLite files that others have open."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from slackwater.sqlite.driver import connect


def copy(source: Path, target: Path) -> None:
    """Make a file what another one is, in one transaction.

    The driver must be that of whoever has them open in this process: two of them lose one another's
    locks.
    """
    with closing(connect(source)) as old, closing(connect(target)) as new:
        old.backup(new)
