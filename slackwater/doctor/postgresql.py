"""PostgreSQL: what the write services need of it, asked over one connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from slackwater.database.postgresql_start import VERSION_MIN
from slackwater.doctor import mining
from slackwater.doctor.check import Check
from slackwater.doctor.finding import Seen, broken, caution, ok
from slackwater.doctor.migrations import MIGRATE, compared
from slackwater.installation import Installation
from slackwater.service.definition import ServiceDefinition

Connection = AsyncConnection[tuple[Any, ...]]

_CONNECT_TIMEOUT_S = 5
_STATEMENT_TIMEOUT = "8s"
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
_CONNECTIONS_A_SERVICE = 20  # its own process and its relay's: eight each, a lease, doorbells
_NEWER_SERVER = "run PostgreSQL 14 or newer"
_MORE_CONNECTIONS = "raise max_connections, or end what else uses the server"
_GRANT = "GRANT CREATE ON DATABASE … TO the role, or create each service's schema for it"
_ENCODE = "create a database with ENCODING 'UTF8', and name it in SLACKWATER_POSTGRESQL_URL"

_SEE_CONNECTIONS = """
SELECT current_setting('max_connections')::int
         - current_setting('superuser_reserved_connections')::int,
       count(*) FILTER (WHERE NOT starts_with(application_name, %s))
FROM pg_stat_activity WHERE datid IS NOT NULL AND pid <> pg_backend_pid()
"""
_SEE_RIGHTS = """
SELECT current_user, current_database(),
       has_database_privilege(current_database(), 'CREATE'),
       array(SELECT nspname FROM pg_namespace
             WHERE nspname = ANY(%s) AND has_schema_privilege(oid, 'CREATE'))
"""


@asynccontextmanager
async def opened(installation: Installation) -> AsyncIterator[Sequence[Check]]:
    """Connect as a service does: to the primary only."""
    async with await AsyncConnection.connect(
        str(installation.settings.postgresql_url),
        autocommit=True,
        connect_timeout=_CONNECT_TIMEOUT_S,
        application_name="slackwater doctor",
        target_session_attrs="read-write",
        options=f"-c statement_timeout={_STATEMENT_TIMEOUT}",
    ) as connection:
        yield _checks(connection, installation)


def _checks(connection: Connection, installation: Installation) -> list[Check]:
    schemas = {
        name: f"{installation.settings.namespace}_{name}" for name in installation.manifest.services
    }
    on = partial(_see_on, connection)
    return [
        Check("version", partial(_see_version, connection), _NEWER_SERVER),
        *(Check(name, partial(on, name), f"set {name} = on") for name in _DURABLE),
        Check("encoding", partial(_see_encoding, connection), _ENCODE),
        Check(
            "connections left",
            partial(_see_connections, connection, installation.settings.namespace, len(schemas)),
            _MORE_CONNECTIONS,
        ),
        Check("rights", partial(_see_rights, connection, list(schemas.values())), _GRANT),
        *mining.checks(
            connection,
            schemas,
            {name: installation.service(name).publishing for name in schemas},
            alarm_bytes=installation.settings.retained_log_alarm_mb * 1_000_000,
        ),
        *(
            Check(
                f"migrations of {name}",
                partial(_see_migrations, connection, schema, installation.service(name)),
                MIGRATE,
            )
            for name, schema in schemas.items()
        ),
    ]


async def _see_version(connection: Connection) -> Seen:
    version = connection.info.server_version
    found = f"{version // 10_000}.{version % 10_000}"
    return ok(found) if version >= VERSION_MIN else broken(found, _NEWER_SERVER)


async def _see_on(connection: Connection, name: str) -> Seen:
    found = await _setting(connection, name)
    if found == "off":
        return broken("off: what was acknowledged may be forgotten", f"set {name} = on")
    return ok(found)


async def _see_encoding(connection: Connection) -> Seen:
    found = await _setting(connection, "server_encoding")
    return ok(found) if found == "UTF8" else broken(found, _ENCODE)


async def _see_connections(connection: Connection, namespace: str, services: int) -> Seen:
    given, taken_by_others = await _row(connection, _SEE_CONNECTIONS, f"slackwater {namespace}_")
    left, wanted = given - taken_by_others, services * _CONNECTIONS_A_SERVICE
    found = f"{left} of {given} for this installation; it takes up to {wanted}"
    return ok(found) if left >= wanted else caution(found, _MORE_CONNECTIONS)


async def _see_rights(connection: Connection, schemas: list[str]) -> Seen:
    role, database, may_create, own = await _row(connection, _SEE_RIGHTS, schemas)
    if may_create:
        return ok(f"{role} may create schemas in {database}")
    lacking = [schema for schema in schemas if schema not in own]
    if not lacking:
        return ok(f"{role} may create tables in every service's schema")
    return broken(
        f"{role} may not create schemas in {database}, nor tables in {', '.join(lacking)}",
        f'GRANT CREATE ON DATABASE "{database}" TO "{role}", or create those schemas for it',
    )


async def _see_migrations(connection: Connection, schema: str, service: ServiceDefinition) -> Seen:
    statement = sql.SQL("SELECT version_num FROM {}.alembic_version").format(sql.Identifier(schema))
    try:
        found = await (await connection.execute(statement)).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        found = []
    return compared(str(found[0][0]) if found else None, service)


async def _setting(connection: Connection, name: str) -> str:
    [found] = await _row(connection, "SELECT current_setting(%s)", name)
    return str(found)


async def _row(connection: Connection, statement: str, argument: object) -> tuple[Any, ...]:
    row = await (await connection.execute(statement, [argument])).fetchone()
    assert row is not None, "a SELECT without FROM, or of an aggregate, has one row"
    return row
