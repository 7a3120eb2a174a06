"""`slackwater db migrate`: brings write services' databases to their newest version."""

from __future__ import annotations

from typing import Annotated

import typer

from slackwater.command_line.options import DataDir
from slackwater.command_line.process import run_process
from slackwater.installation import Installation
from slackwater.service.definition import ServiceDefinition
from slackwater.service.migrations import migrate as migrate_database
from slackwater.settings import load_settings


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    database = typer.Typer(help="The write services' databases.", no_args_is_help=True)
    database.command()(migrate)
    database.callback()(lambda: None)
    app.add_typer(database, name="db")


def migrate(
    services: Annotated[
        list[str] | None, typer.Argument(help="Whose; all of them unless told.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Bring services' databases to their newest version; does nothing where they are there."""

    async def work(installation: Installation) -> None:
        names = services or installation.manifest.services
        for service in [installation.service(name) for name in names]:
            await _migrate_one(installation, service)
            typer.echo(f"{service.name}: migrated")

    run_process(load_settings({"data_dir": data_dir}), work)


async def _migrate_one(installation: Installation, service: ServiceDefinition) -> None:
    await installation.database(service.name).transact(
        lambda connection: migrate_database(connection, service.migrations)
    )
