"""Migrations of a service's database: alembic, run at start and by `slackwater db migrate`.

Each service has a package of its own with `env.py` (two lines) and `versions/`.
"""

from __future__ import annotations

import threading
from importlib.resources import files

from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from slackwater.errors import ConfigurationError

# What the transaction of a migration begins with, where other instances may migrate as well.
_ALONE = {
    "postgresql": (
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",  # to see what the one before has done
        "SET LOCAL lock_timeout = '60s'",
        "SET LOCAL statement_timeout = 0",
        "SELECT pg_advisory_xact_lock(hashtextextended('migrate ' || current_schema(), 0))",
    )
}


class NewerDatabaseError(ConfigurationError):
    """The database has what only a newer release knows; the message says what can be done."""


_one_at_a_time = threading.Lock()  # alembic keeps the running environment in a module's globals


def migrate(connection: Connection, package: str) -> None:
    """Bring the database to the newest version; does nothing when it is there already.

    Call this in a transaction of its own, which ends all of it or nothing. Instances that start at
    once wait for one another.

    Raises:
        NewerDatabaseError: a newer release has migrated it.
    """
    config = _config_of(package)
    config.attributes["connection"] = connection
    with _one_at_a_time:
        for statement in _ALONE.get(connection.dialect.name, ()):
            connection.exec_driver_sql(statement)
        _require_known(connection, package)
        command.upgrade(config, "head")


def _require_known(connection: Connection, package: str) -> None:
    version = MigrationContext.configure(connection).get_current_revision()
    if version is not None and version not in versions_of(package):
        raise NewerDatabaseError(
            f"the database is at version {version} of {package}, which this release does not know: "
            "run the release that has migrated it, or put a backup from before back"
        )


def versions_of(package: str) -> list[str]:
    """Return every version that the package knows, the newest first."""
    script = ScriptDirectory.from_config(_config_of(package))
    return [each.revision for each in script.walk_revisions()]


def _config_of(package: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files(package)))
    return config


def run_env() -> None:
    """Run the migrations of the package whose `env.py` calls this."""
    context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
    context.run_migrations()
