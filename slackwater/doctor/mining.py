"""Mining: whether PostgreSQL's log can be mined, and how much of it each slot holds back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from psycopg import AsyncConnection, sql

from slackwater.doctor.check import Check
from slackwater.doctor.finding import Seen, broken, caution, ok
from slackwater.doctor.migrations import MIGRATE
from slackwater.outbox.mined import ForgetfulChangeError, MinedState, Position, check_change
from slackwater.outbox.publishing import Publishing

Connection = AsyncConnection[tuple[Any, ...]]

_LOGICAL = "set wal_level = logical and restart the server"
_BOUND = "set max_slot_wal_keep_size, such as to 10GB"
_RUN_RELAY = "see that the service's relay runs"
_MAKE = "start the service: it makes its slot"
_RAISE = "raise max_slot_wal_keep_size; docs/how-to/mine-the-log.md says what the next leader does"
_REPLICATION = "ALTER ROLE … REPLICATION"
_MORE_SLOTS = "raise max_replication_slots, or drop slots that nobody needs"
_MORE_SENDERS = "raise max_wal_senders"
_MEND = "see docs/how-to/mine-the-log.md: insert what is missing, then delete the row of mined"
_SEE_RIGHT = """
SELECT current_user, rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user
"""
_SEE_SLOTS_LEFT = """
SELECT current_setting('max_replication_slots')::int,
       current_setting('max_replication_slots')::int - count(*),
       cardinality(%s::text[]) - count(*) FILTER (WHERE slot_name = ANY(%s))
FROM pg_replication_slots
"""
_SEE_SENDERS_LEFT = """
SELECT current_setting('max_wal_senders')::int,
       current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication),
       cardinality(%s::text[]) - count(*) FILTER (WHERE slot_name = ANY(%s) AND active)
FROM pg_replication_slots
"""
_SEE_SLOT = """
SELECT active, coalesce(wal_status, 'lost'),
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint
FROM pg_replication_slots WHERE slot_name = %s AND database = current_database()
"""


def checks(
    connection: Connection,
    schemas: Mapping[str, str],
    ways: Mapping[str, Publishing],
    *,
    alarm_bytes: int,
) -> list[Check]:
    """Return the checks of mining: of the server where anything is mined, and of every slot.

    Args:
        connection: to the services' database.
        schemas: the schema of each service, by its name.
        ways: how each service publishes.
        alarm_bytes: what a slot may keep of the log.
    """
    mined = [schemas[name] for name, way in ways.items() if way.is_mined]
    of_server = [
        Check("wal_level", partial(_see_wal_level, connection), _LOGICAL),
        Check("max_slot_wal_keep_size", partial(_see_bound, connection), _BOUND),
        Check("replication right", partial(_see_right, connection), _REPLICATION),
        Check("slots left", partial(_see_slots_left, connection, mined), _MORE_SLOTS),
        Check("WAL senders left", partial(_see_senders_left, connection, mined), _MORE_SENDERS),
    ]
    of_services = [
        check
        for name, schema in schemas.items()
        for check in (
            Check(
                f"slot of {name}",
                partial(_see_slot, connection, schema, ways[name].is_mined, alarm_bytes),
                _RUN_RELAY,
            ),
            Check(
                f"publishing of {name}",
                partial(_see_way, connection, name, schema, ways[name]),
                MIGRATE,
            ),
        )
    ]
    return [*(of_server if mined else []), *of_services]


async def _see_wal_level(connection: Connection) -> Seen:
    found = await _setting(connection, "wal_level")
    return ok(found) if found == "logical" else broken(found, _LOGICAL)


async def _see_bound(connection: Connection) -> Seen:
    found = await _setting(connection, "max_slot_wal_keep_size")
    if found == "-1":
        return caution("without bound: a miner that is away fills the disk with log", _BOUND)
    return ok(found)


async def _see_right(connection: Connection) -> Seen:
    role, may = await _row(connection, _SEE_RIGHT)
    return ok(f"{role} has it") if may else broken(f"{role} has none", _REPLICATION)


async def _see_slots_left(connection: Connection, wanted: list[str]) -> Seen:
    return _enough(await _row(connection, _SEE_SLOTS_LEFT, wanted, wanted), _MORE_SLOTS)


async def _see_senders_left(connection: Connection, wanted: list[str]) -> Seen:
    return _enough(await _row(connection, _SEE_SENDERS_LEFT, wanted, wanted), _MORE_SENDERS)


def _enough(seen: tuple[Any, ...], remedy: str) -> Seen:
    given, left, wanted = seen
    found = f"{left} of {given}, and {wanted} are wanted"
    return ok(found) if left >= wanted else broken(found, remedy)


async def _see_way(connection: Connection, name: str, schema: str, way: Publishing) -> Seen:
    """See whether what the service has published by before is no obstacle, and nothing is lost."""
    [table] = await _row(connection, "SELECT to_regclass(%s)::text", f"{schema}.mined")
    row = None
    if table is not None:
        seen = sql.SQL("SELECT way, lsn, lost FROM {}").format(sql.Identifier(schema, "mined"))
        row = await (await connection.execute(seen)).fetchone()
    if row is None:
        return ok(way)
    former, lsn, lost = row
    if lost is not None:
        return broken(f"by {former}, and events are lost: {lost}", _MEND)
    state = MinedState(Publishing(former), "", Position(lsn))
    try:
        check_change(state, way, name)
    except ForgetfulChangeError as error:
        return broken(f"{way}, and by {former} before", str(error))
    if not state.has_begun:
        return caution(f"{way}, and there is no history of its rows yet", _RUN_RELAY)
    if Publishing.LOG_OUTBOX in (former, way):
        return caution(f"{way}, and no row is written before its messages are rows", _RUN_RELAY)
    return ok(way)


async def _see_slot(connection: Connection, slot: str, is_mined: bool, alarm_bytes: int) -> Seen:
    row = await (await connection.execute(_SEE_SLOT, [slot])).fetchone()
    if row is None:
        return caution("there is none yet", _MAKE) if is_mined else ok("none, and none is needed")
    is_active, status, retained_bytes = row
    held = f"it holds back {retained_bytes / 1e6:.0f} MB of log"
    if not is_mined:
        return caution(f"{held}, and nobody mines it", f"SELECT pg_drop_replication_slot('{slot}')")
    if status == "lost":
        return broken("lost: the server has removed log that it needed", _RAISE)
    if retained_bytes > alarm_bytes or not is_active:
        return caution(f"{held}{'' if is_active else ', and nobody streams from it'}", _RUN_RELAY)
    return ok(held)


async def _setting(connection: Connection, name: str) -> str:
    return str((await _row(connection, "SELECT current_setting(%s)", name))[0])


async def _row(connection: Connection, statement: str, *arguments: Any) -> tuple[Any, ...]:
    row = await (await connection.execute(statement.encode(), arguments)).fetchone()
    assert row is not None, "a SELECT without FROM, or of an aggregate, has one row"
    return row
