"""`slackwater schema export`: the schema as text, and the check that a file still says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slackwater.manifest import Manifest


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    schema = typer.Typer(help="The GraphQL schema.", no_args_is_help=True)
    schema.command()(export)
    schema.callback()(lambda: None)
    app.add_typer(schema, name="schema")


def export(
    path: Path,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail when the file differs.")
    ] = False,
) -> None:
    """Write the schema to PATH."""
    sdl = Manifest().gateway().sdl()
    if not check:
        path.write_text(sdl)
    elif not path.exists() or path.read_text() != sdl:
        typer.echo(f"{path} differs from the code; run `make schema` and commit it", err=True)
        raise typer.Exit(1)
