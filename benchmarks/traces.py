"""What a contender leaves in the database and the log, and its removal, also after a death.

Whoever measures holds a lock of the contender's name. So a later run can tell what was left by a
dead one from what another one needs, and no slot holds the server's log back for ever.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

from aiokafka.admin import AIOKafkaAdminClient
from psycopg import sql

from slackwater.database.postgresql_connection import RawConnection, connect

PREFIX = "atomicity_"
_FREE_S = 15.0
_ASK_S = 0.1
_KEY = "hashtextextended('measured ' || %s, 0)"
_LEFT = (
    "SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname, %(prefix)s) "
    "UNION SELECT slot_name::text FROM pg_replication_slots "
    "WHERE starts_with(slot_name, %(prefix)s)"
)


def hold(url: str, name: str) -> RawConnection:
    """Return a connection that says, while it is open, that the contender of a name is alive."""
    connection = connect(url, name="benchmark")
    connection.execute(f"SELECT pg_advisory_lock({_KEY})", [name])
    return connection


def left_behind(connection: RawConnection) -> list[str]:
    """Return the names of contenders that nobody holds; ask on a connection that holds none."""
    names = [row[0] for row in connection.execute(_LEFT, {"prefix": PREFIX}).fetchall()]
    return [cast("str", name) for name in names if _is_free(connection, cast("str", name))]


def remove(connection: RawConnection, name: str) -> None:
    """Remove slot, publications and schema of a contender; its relay has ended.

    Raises:
        TimeoutError: somebody goes on reading its slot.
    """
    _drop_slot(connection, name)
    publications = "SELECT pubname::text FROM pg_publication WHERE starts_with(pubname, %s)"
    for (publication,) in connection.execute(publications, [name]).fetchall():
        named = sql.Identifier(cast("str", publication))
        connection.execute(sql.SQL("DROP PUBLICATION {}").format(named))
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


async def delete_topics(kafka: str, names: Sequence[str]) -> None:
    """Delete topics; those that do not exist are no error."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_topics(list(names))
    finally:
        await admin.close()


def _is_free(connection: RawConnection, name: str) -> bool:
    with connection.transaction():
        got = connection.execute(f"SELECT pg_try_advisory_xact_lock({_KEY})", [name]).fetchone()
    return got is not None and bool(got[0])


def _drop_slot(connection: RawConnection, slot: str) -> None:
    """Drop a slot, whose reader may be known to the server for a moment longer."""
    asked = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s"
    give_up_s = time.monotonic() + _FREE_S
    while (row := connection.execute(asked, [slot]).fetchone()) is not None:
        if row[0] is None:
            connection.execute("SELECT pg_drop_replication_slot(%s)", [slot])
        elif time.monotonic() > give_up_s:
            raise TimeoutError(f"somebody still reads {slot}; end that and drop the slot by hand")
        else:
            connection.execute("SELECT pg_terminate_backend(%s)", [row[0]])
            time.sleep(_ASK_S)
