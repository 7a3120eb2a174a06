"""Databases of one's own on the PostgreSQL server of the tests."""

from __future__ import annotations

import hmac
import time
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import pbkdf2_hmac, sha256
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import Connection, sql
from psycopg.errors import ObjectInUse

from tests.engines import engine_url

_SLOTS_S = 10.0


@contextmanager
def own_database(directory: Path) -> Iterator[str]:
    """Create the database of a test's directory; yield its address, and drop it in the end."""
    name = name_of(directory)
    with administrator() as connection:
        connection.execute(_statement("DROP DATABASE IF EXISTS {} WITH (FORCE)", name))
        connection.execute(_statement("CREATE DATABASE {} ENCODING UTF8 TEMPLATE template0", name))
    try:
        yield url_of(directory)
    finally:
        with administrator() as connection:
            drop_slots(connection, database=name)
            connection.execute(_statement("DROP DATABASE {} WITH (FORCE)", name))


def drop_slots(
    connection: Connection[tuple[object, ...]], namespace: str = "", database: str = "%"
) -> None:
    """Drop the slots of an installation or a database; end whoever still streams from them."""
    slots = "FROM pg_replication_slots WHERE starts_with(slot_name, %s) AND database LIKE %s"
    meant = [namespace, database]
    connection.execute(f"SELECT pg_terminate_backend(active_pid) {slots}", meant)
    deadline_s = time.monotonic() + _SLOTS_S
    while True:
        try:
            connection.execute(f"SELECT pg_drop_replication_slot(slot_name) {slots}", meant)
        except ObjectInUse:  # until the session that was told to end has ended
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        else:
            return


@contextmanager
def administrator() -> Iterator[Connection[tuple[object, ...]]]:
    with psycopg.connect(engine_url("postgresql"), autocommit=True) as connection:
        yield connection


@contextmanager
def administrator_of(directory: Path) -> Iterator[Connection[tuple[object, ...]]]:
    with psycopg.connect(url_of(directory), autocommit=True) as connection:
        yield connection


@contextmanager
def role_of(directory: Path) -> Iterator[str]:
    """Create a role that owns nothing; yield its name, and drop it in the end."""
    name = f"{name_of(directory)}_role"
    with administrator() as connection:
        connection.execute(_statement("DROP ROLE IF EXISTS {}", name))
        connection.execute(_statement("CREATE ROLE {} LOGIN", name))
        try:
            yield name
        finally:
            connection.execute(_statement("DROP ROLE {}", name))


@contextmanager
def dropping_roles(names: Iterable[str]) -> Iterator[None]:
    """Drop the roles in the end, if somebody has made them; they must own nothing any more."""
    try:
        yield
    finally:
        with administrator() as connection:
            for name in names:
                connection.execute(_statement("DROP ROLE IF EXISTS {}", name))


def is_password(connection: Connection[tuple[object, ...]], role: str, password: str) -> bool:
    """Tell whether the server would let the role in with the password (SCRAM, RFC 5803)."""
    kept = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [role])
    [verifier] = kept.fetchone() or [None]
    method, cost, keys = str(verifier).split("$")
    assert method == "SCRAM-SHA-256"
    iterations, salt = cost.split(":")
    salted = pbkdf2_hmac("sha256", password.encode(), b64decode(salt), int(iterations))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return sha256(client_key).digest() == b64decode(keys.split(":")[0])


def url_of(directory: Path, role: str | None = None) -> str:
    """Return the address of the directory's database, for the administrator or a role."""
    url = urlsplit(engine_url("postgresql"))._replace(path=f"/{name_of(directory)}")
    return url.geturl() if role is None else url._replace(netloc=_as(role, url.netloc)).geturl()


def name_of(directory: Path) -> str:
    return f"slackwater_test_{sha256(str(directory).encode()).hexdigest()[:12]}"


def end_connections(directory: Path, like: str = "%") -> int:
    """End every connection to the database whose application's name is like that."""
    with administrator() as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = %s AND application_name LIKE %s",
            [name_of(directory), like],
        )
        return len(ended.fetchall())


def _as(role: str, netloc: str) -> str:
    return f"{role}@{netloc.rpartition('@')[2]}"


def _statement(text: str, name: str) -> sql.Composed:
    return sql.SQL(text).format(sql.Identifier(name))
