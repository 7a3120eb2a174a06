"""Which history a database server writes, as SQL.

A standby that takes over goes on in a timeline of its own in the write-ahead log, and may lack what
the server before it had acknowledged. Two that take over from the same one give theirs the same
number, and a backup that is put back keeps the number, so the time at which the server was started
counts, too. A file has one history; one that is put back is opened anew.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Text, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class ServerHistory(FunctionElement[str]):
    """A text that is another one on a server that has taken over, or was started again."""

    name = "server_history"
    type = Text()
    inherit_cache = True


@compiles(ServerHistory, "postgresql")
def _of_postgresql(_element: ServerHistory, _compiler: Any, **_: Any) -> str:
    # Not of pg_control_checkpoint: there it is the old one until the first checkpoint.
    timeline = "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
    started = "cast(extract(epoch FROM pg_postmaster_start_time()) AS text)"
    return f"{timeline} || ' ' || {started}"


@compiles(ServerHistory, "sqlite")
def _of_sqlite(_element: ServerHistory, _compiler: Any, **_: Any) -> str:
    return "''"


def read_history(connection: Connection) -> str:
    """Return the history that the server writes."""
    return connection.execute(select(ServerHistory())).scalar_one()
