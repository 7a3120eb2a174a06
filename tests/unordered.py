"""What is asked for in no order comes backwards, so that nobody rests on an order by luck."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from slackwater.database.port import Database
from slackwater.database.sqlite import SqliteDatabase


def reversing_unordered(database: Database) -> Database:
    """Let an SQLite database answer backwards whatever names no order; return it."""
    if isinstance(database, SqliteDatabase):

        @event.listens_for(database.engine, "connect")
        def reverse(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA reverse_unordered_selects = ON")

    return database
