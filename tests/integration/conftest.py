"""Databases of services, so that what they do is tried on each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.sqlite import SqliteDatabase
from tests.integration.service_bench import OpenDatabase
from tests.postgresql_server import own_database

_KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.engine("postgresql"))]


@pytest.fixture(params=_KINDS)
def open_database(request: pytest.FixtureRequest, tmp_path: Path) -> OpenDatabase:
    """Return what opens one more handle on a service's database."""
    if request.param == "sqlite":
        return lambda name: SqliteDatabase(tmp_path / f"{name}.sqlite")
    open_postgresql: OpenDatabase = request.getfixturevalue("open_postgresql")
    return open_postgresql


@pytest.fixture
def open_postgresql(shared_database: str) -> OpenDatabase:
    """Return the same for PostgreSQL: schemas of this test's own in a database of all tests."""
    test = uuid4().hex[:8]
    return lambda name: PostgresqlDatabase(shared_database, schema=f"{name}_{test}")


@pytest.fixture(scope="session")
def shared_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with own_database(tmp_path_factory.mktemp("services")) as url:
        yield url
