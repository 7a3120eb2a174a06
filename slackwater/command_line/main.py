"""The entry point: every command, and errors as one clear line instead of a traceback."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from slackwater.errors import SlackwaterError
from slackwater.garbage import leave_it_at_exit

# The module of each command, in the order of `--help`.
MODULES = {
    "run": "run",
    "gateway": "parts",
    "service": "parts",
    "relay": "parts",
    "projector": "parts",
    "demo": "demo",
    "verify": "verify",
    "doctor": "doctor",
    "lag": "lag",
    "rebuild": "rebuild",
    "dead-letter": "dead_letter",
    "audit": "audit",
    "db": "database",
    "topics": "topics",
    "schema": "schema",
}


def main() -> None:
    """Run the command line; known errors end with status 1 and their message."""
    leave_it_at_exit()
    try:
        app_for(sys.argv[1:])()
    except SlackwaterError as error:
        sys.exit(f"slackwater: {error}")
    except BaseExceptionGroup as group:
        known = group.subgroup(SlackwaterError)
        if known is None:
            raise
        sys.exit(f"slackwater: {_first(known)}")


def app_for(arguments: list[str]) -> typer.Typer:
    """Return the application with the command that `arguments` begin with, or else with every one.

    What a command needs takes up to a second to load, and every process of ours is a command.
    """
    app = typer.Typer(
        help="A GraphQL gateway over CQRS read models that tells how stale every field can be.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(lambda: None)  # a single command keeps its name
    wanted = MODULES.get(arguments[0]) if arguments else None
    for module in [wanted] if wanted else dict.fromkeys(MODULES.values()):
        import_module(f"slackwater.command_line.{module}").add_to(app)
    return app


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
