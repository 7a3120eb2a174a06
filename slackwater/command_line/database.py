"""`slackwater db migrate`: brings every write service's database to its newest version."""

from __future__ import annotations

import typer

from slackwater.command_line.options import DataDir
from slackwater.command_line.process import run_process
from slackwater.installation import Installation
from slackwater.service.migrations import migrate as migrate_database
from slackwater.settings import load_settings


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    database = typer.Typer(help="The write services' databases.", no_args_is_help=True)
    database.command()(migrate)
    database.callback()(lambda: None)
    app.add_typer(database, name="db")


def migrate(data_dir: DataDir = None) -> None:
    """Bring every service's database to its newest version; does nothing where it is there."""
    run_process(load_settings({"data_dir": data_dir}), _migrate_all)


async def _migrate_all(installation: Installation) -> None:
    for name in installation.manifest.services:
        await _migrate_one(installation, name)
        typer.echo(f"{name}: migrated")


async def _migrate_one(installation: Installation, name: str) -> None:
    package = installation.manifest.service(name).migrations
    await installation.database(name).transact(
        lambda connection: migrate_database(connection, package)
    )
