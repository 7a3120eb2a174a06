"""Connections to PostgreSQL as our guarantees need them: each wait bounded, a dead peer noticed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import psycopg

from slackwater.database.port import DatabaseError

RawConnection = psycopg.Connection[tuple[object, ...]]

# What the server does for us; each can be overridden where a session needs something else.
_SERVER_SIDE = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "jit": "off",
}
_CLIENT_SIDE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "target_session_attrs": "read-write",
}
_FOR_REPLICATION = {"replication": "database"}
_NOTHING_MORE: Mapping[str, str] = MappingProxyType({})


def connect(
    url: str,
    *,
    name: str,
    settings: Mapping[str, str] = _NOTHING_MORE,
    schema: str | None = None,
    replication: bool = False,
) -> RawConnection:
    """Connect in autocommit, to the primary only; transactions are begun by hand.

    Args:
        url: of libpq, such as `postgresql://user@host:5432/database`; several hosts may be named.
        name: what the server shows in `pg_stat_activity`.
        settings: of the session, in addition to our timeouts or in place of them.
        schema: where unqualified names are looked for, and nowhere else.
        replication: whether it is to stream the database's log; its role needs that right.

    Raises:
        DatabaseError: no primary answers there.
    """
    session = {**_SERVER_SIDE, **settings}
    if schema is not None:
        session["search_path"] = f'"{schema}"'
    options = " ".join(f"-c {key}={value}" for key, value in session.items())
    client = {**_CLIENT_SIDE, **(_FOR_REPLICATION if replication else {})}
    try:
        return psycopg.connect(
            url, autocommit=True, application_name=name, options=options, **client
        )
    except psycopg.OperationalError as error:
        raise DatabaseError(
            f"no connection to PostgreSQL: {error}; see that the address is right and a primary "
            "runs there"
        ) from error


def is_lost(connection: RawConnection) -> bool:
    """Tell whether the connection has ended; what it was doing then is unknown."""
    return connection.closed
