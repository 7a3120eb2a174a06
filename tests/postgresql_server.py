"""Databases of one's own on the PostgreSQL server of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import Connection, sql

from tests.engines import engine_url


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
            connection.execute(_statement("DROP DATABASE {} WITH (FORCE)", name))


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
