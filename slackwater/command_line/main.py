"""The entry point: every command, and errors as one clear line instead of a traceback."""

from __future__ import annotations

import sys

import typer

from slackwater.command_line import (
    audit,
    database,
    dead_letter,
    demo,
    doctor,
    lag,
    parts,
    rebuild,
    run,
    schema,
    topics,
    verify,
)
from slackwater.errors import SlackwaterError

app = typer.Typer(
    help="A GraphQL gateway over CQRS read models that tells how stale every field can be.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
run.add_to(app)
parts.add_to(app)
demo.add_to(app)
verify.add_to(app)
doctor.add_to(app)
lag.add_to(app)
rebuild.add_to(app)
dead_letter.add_to(app)
audit.add_to(app)
database.add_to(app)
topics.add_to(app)
schema.add_to(app)


def main() -> None:
    """Run the command line; known errors end with status 1 and their message."""
    try:
        app()
    except SlackwaterError as error:
        sys.exit(f"slackwater: {error}")
    except BaseExceptionGroup as group:
        known = group.subgroup(SlackwaterError)
        if known is None:
            raise
        sys.exit(f"slackwater: {_first(known)}")


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
