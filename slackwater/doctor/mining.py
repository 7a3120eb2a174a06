"""Mining: whether PostgreSQL's log can be mined, and how much of it each slot holds back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from psycopg import AsyncConnection

from slackwater.doctor.check import Check
from slackwater.doctor.finding import Seen, broken, caution, ok

Connection = AsyncConnection[tuple[Any, ...]]

_RETAINED_MANY_BYTES = 1 << 30
_LOGICAL = "set wal_level = logical and restart the server"
_BOUND = "set max_slot_wal_keep_size, such as to 10GB"
_RUN_RELAY = "see that the service's relay runs"
_MAKE = "start the service: it makes its slot"
_RAISE = "raise max_slot_wal_keep_size; the next leading relay makes another slot"
_SEE_SLOT = """
SELECT active, coalesce(wal_status, 'lost'),
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint
FROM pg_replication_slots WHERE slot_name = %s AND database = current_database()
"""


def checks(connection: Connection, schemas: Mapping[str, str], mined: set[str]) -> list[Check]:
    """Return the checks of mining: of the server where anything is mined, and of every slot.

    Args:
        connection: to the services' database.
        schemas: the schema of each service, by its name.
        mined: the names of those whose log is mined.
    """
    of_server = [
        Check("wal_level", partial(_see_wal_level, connection), _LOGICAL),
        Check("max_slot_wal_keep_size", partial(_see_bound, connection), _BOUND),
    ]
    of_slots = [
        Check(f"slot of {name}", partial(_see_slot, connection, schema, name in mined), _RUN_RELAY)
        for name, schema in schemas.items()
    ]
    return [*(of_server if mined else []), *of_slots]


async def _see_wal_level(connection: Connection) -> Seen:
    found = await _setting(connection, "wal_level")
    return ok(found) if found == "logical" else broken(found, _LOGICAL)


async def _see_bound(connection: Connection) -> Seen:
    found = await _setting(connection, "max_slot_wal_keep_size")
    if found == "-1":
        return caution("without bound: a miner that is away fills the disk with log", _BOUND)
    return ok(found)


async def _see_slot(connection: Connection, slot: str, is_mined: bool) -> Seen:
    row = await (await connection.execute(_SEE_SLOT, [slot])).fetchone()
    if row is None:
        return caution("there is none yet", _MAKE) if is_mined else ok("none, and none is needed")
    is_active, status, retained_bytes = row
    held = f"it holds back {retained_bytes / 1e6:.0f} MB of log"
    if not is_mined:
        return caution(f"{held}, and nobody mines it", f"SELECT pg_drop_replication_slot('{slot}')")
    if status == "lost":
        return broken("lost: the server has removed log that it needed", _RAISE)
    if retained_bytes > _RETAINED_MANY_BYTES or not is_active:
        return caution(f"{held}{'' if is_active else ', and nobody streams from it'}", _RUN_RELAY)
    return ok(held)


async def _setting(connection: Connection, name: str) -> str:
    row = await (await connection.execute("SELECT current_setting(%s)", [name])).fetchone()
    assert row is not None, "a SELECT without FROM has one row"
    return str(row[0])
