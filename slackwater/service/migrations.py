"""Migrations of a service's database: alembic, run at start and by `slackwater db migrate`.

Each service has a package of its own with `env.py` (two lines) and `versions/`.
"""

from __future__ import annotations

import threading
from importlib.resources import files

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection

_one_at_a_time = threading.Lock()  # alembic keeps the running environment in a module's globals


def migrate(connection: Connection, package: str) -> None:
    """Bring the database to the newest version; does nothing when it is there already."""
    config = Config()
    config.set_main_option("script_location", str(files(package)))
    config.attributes["connection"] = connection
    with _one_at_a_time:
        command.upgrade(config, "head")


def run_env() -> None:
    """Run the migrations of the package whose `env.py` calls this."""
    context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
    context.run_migrations()
