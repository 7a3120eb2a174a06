"""What must be true of a PostgreSQL server before a service trusts it with its data."""

from __future__ import annotations

import re
from collections.abc import Mapping

from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from slackwater.database.postgresql_connection import RawConnection
from slackwater.errors import ConfigurationError

VERSION_MIN = 140_000
_CHECKED = ("fsync", "full_page_writes", "synchronous_commit", "server_encoding")
_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class NotDurableError(ConfigurationError):
    """The server may forget what it has acknowledged; switch the named setting on."""


class OldServerError(ConfigurationError):
    """The server lacks what leases rest on; run PostgreSQL 14 or newer."""


class SchemaNameError(ConfigurationError):
    """A schema has up to 63 small letters, digits and underscores; give it such a name."""


class ForeignSchemaError(ConfigurationError):
    """The role may not use or create the service's schema; connect as the role that owns it."""


def check_schema_name(name: str) -> str:
    """Return the name.

    Raises:
        SchemaNameError: it would need quoting.
    """
    if not _SCHEMA_NAME.fullmatch(name):
        raise SchemaNameError(f"{name!r} cannot name a schema; use small letters and underscores")
    return name


def prepare_start(connection: RawConnection, schema: str) -> None:
    """Check the server, and create the schema if it is missing.

    Raises:
        NotDurableError, OldServerError: the server cannot keep our promises.
        ForeignSchemaError: the schema is another role's, or may not be created.
    """
    if connection.info.server_version < VERSION_MIN:
        raise OldServerError(
            f"PostgreSQL {connection.info.server_version // 10_000} is too old; run 14 or newer"
        )
    require_durable({name: _setting(connection, name) for name in _CHECKED})
    if not _has_schema(connection, schema):
        _create_schema(connection, schema)
    if not _may_use(connection, schema):
        raise ForeignSchemaError(
            f"{connection.info.user} may not use the schema {schema}; connect as its owner"
        )


def require_durable(settings: Mapping[str, str]) -> None:
    """Check that what was acknowledged outlives a crash of the server's machine.

    Raises:
        NotDurableError: a setting gives that up.
    """
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if settings[name] == "off":
            raise NotDurableError(
                f"PostgreSQL runs with {name} = off and may forget acknowledged writes; "
                f"set {name} = on"
            )
    if settings["server_encoding"] != "UTF8":
        raise ConfigurationError(
            f"the database is encoded in {settings['server_encoding']}; create it in UTF8"
        )


def _setting(connection: RawConnection, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    return str(row[0]) if row is not None else ""


def _has_schema(connection: RawConnection, schema: str) -> bool:
    found = connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [schema])
    return found.fetchone() is not None


def _may_use(connection: RawConnection, schema: str) -> bool:
    asked = connection.execute("SELECT has_schema_privilege(%s, 'USAGE')", [schema]).fetchone()
    return asked == (True,)


def _create_schema(connection: RawConnection, schema: str) -> None:
    create = sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema))
    try:
        with connection.transaction():  # a look alone would let two that start at once create it
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [schema])
            connection.execute(create)
    except InsufficientPrivilege as error:
        raise ForeignSchemaError(
            f"{connection.info.user} may not create the schema {schema}; "
            "create it as an administrator, owned by that role"
        ) from error
