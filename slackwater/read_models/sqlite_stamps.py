"""Stamps of search indexes in an SQLite file: how many writes each has had.

There is one copy, and no search shows less of it than what was committed. But the progress that
covers it is kept in another file, and one of the two may be put back to a backup without the other.
The count stands in the index's own file and is raised in the transaction of each write, so an index
that was put back is behind the stamp that was saved with progress. It says so from then on, because
further writes let the count catch up.
"""

from __future__ import annotations

from typing import NamedTuple

from slackwater.read_models.search import PartialResultError
from slackwater.sqlite.driver import Connection

_CREATE = """
    CREATE TABLE IF NOT EXISTS search_stamps (
        name TEXT PRIMARY KEY, writes INTEGER NOT NULL, has_lost INTEGER NOT NULL DEFAULT 0
    )
"""
_HAS_STAMPS = "SELECT 1 FROM sqlite_schema WHERE name = 'search_stamps'"
_COUNT = """
    INSERT INTO search_stamps (name, writes) VALUES (?, 1)
    ON CONFLICT (name) DO UPDATE SET writes = writes + 1
"""
_LOSE = """
    INSERT INTO search_stamps (name, writes, has_lost) VALUES (?, 0, 1)
    ON CONFLICT (name) DO UPDATE SET has_lost = 1
"""
_STAMP = "SELECT writes, has_lost FROM search_stamps WHERE name = ?"
_FORGET = "DELETE FROM search_stamps WHERE name = ?"


class Shown(NamedTuple):
    """What a snapshot shows of an index."""

    stamp: str
    has_lost: bool

    def lacks(self, stamp: str | None) -> bool:
        """Tell whether something is missing that was there at a stamp."""
        return self.has_lost or self.stamp < (stamp or "")


def count_write(connection: Connection, index: str) -> None:
    """Count a write in its own transaction."""
    connection.execute(_CREATE)
    connection.execute(_COUNT, (index,))


def shown(connection: Connection, index: str) -> Shown:
    """Return what the snapshot of a connection shows."""
    if not connection.execute(_HAS_STAMPS).fetchall():
        return Shown("", has_lost=False)
    found = connection.execute(_STAMP, (index,)).fetchall()
    writes, has_lost = found[0] if found else (0, False)
    return Shown(f"{writes:019d}", bool(has_lost))


def require_stamp(connection: Connection, index: str, stamp: str | None) -> None:
    """Refuse a snapshot that is behind a stamp, or of which something was lost.

    Raises:
        PartialResultError: it lacks what was written before.
    """
    if stamp is not None and shown(connection, index).lacks(stamp):
        raise PartialResultError(index, "what answers lacks what was written")


def mark_lost(connection: Connection, index: str) -> None:
    """Remember that something is missing, whatever is written from now on."""
    connection.execute(_CREATE)
    connection.execute(_LOSE, (index,))


def forget(connection: Connection, index: str) -> None:
    """Begin anew with an index that is dropped."""
    connection.execute(_CREATE)
    connection.execute(_FORGET, (index,))
