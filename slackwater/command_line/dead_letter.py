"""`slackwater dead-letter list|show|replay`: what read models have parked, and replaying it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from slackwater.command_line.options import DataDir, Json
from slackwater.command_line.process import run_process
from slackwater.installation import Installation
from slackwater.parts.dead_letters import Chosen, Parked, Replayed, letters, parked, replay
from slackwater.read_models.dead_letters import DeadLetter
from slackwater.settings import load_settings

Name = Annotated[str | None, typer.Argument(help="A read model; all, if left out.")]
Key = Annotated[str | None, typer.Option("--key", help="Only this partition key.")]
Error = Annotated[str | None, typer.Option("--error", help="Only this kind of error.")]

_commands = typer.Typer(no_args_is_help=True, help="What read models have parked.")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_commands, name="dead-letter")


@_commands.command("list")
def list_(
    name: Name = None,
    key: Key = None,
    error: Error = None,
    skip: Annotated[int, typer.Option("--skip", min=0, help="Leave out so many keys.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show so many keys.")] = 50,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List the keys that are parked, each with the error of its first event."""

    async def work(installation: Installation) -> None:
        number = 0
        async for each in parked(installation, Chosen(read_model=name, key=key, error=error)):
            number += 1
            if number > skip + limit:
                if not json:
                    typer.echo(f"There are more; see them with --skip {skip + limit}")
                return
            if number > skip:
                typer.echo(msgspec.json.encode(each) if json else _parked_line(each))
        if not number and not json:
            typer.echo("Nothing is parked")

    _run(data_dir, work)


@_commands.command()
def show(
    name: Annotated[str, typer.Argument(help="A read model.")],
    key: Annotated[str, typer.Argument(help="The partition key.")],
    after: Annotated[int, typer.Option("--after", help="Begin behind this offset.")] = -1,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show so many events.")] = 20,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show the events of a key that are parked, in the order in which they would be replayed."""

    async def work(installation: Installation) -> None:
        chosen = Chosen(read_model=name, key=key)
        async for letter in letters(installation, chosen, after=after, limit=limit):
            typer.echo(msgspec.json.encode(_letter_told(letter)) if json else _letter_line(letter))

    _run(data_dir, work)


@_commands.command("replay")
def replay_(
    name: Name = None,
    key: Key = None,
    error: Error = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; else only see what would come of it.")
    ] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Apply what is parked, key by key and in order, after its cause was mended.

    Without --yes nothing is changed. Ctrl-C ends it between two steps: what was done stays done,
    and the next run goes on. Exit status 1: something cannot be applied yet.
    """
    chosen, is_stuck = Chosen(read_model=name, key=key, error=error), False

    async def work(installation: Installation) -> None:
        nonlocal is_stuck
        async for each in replay(installation, chosen, apply=yes):
            is_stuck = is_stuck or each.reason is not None
            typer.echo(msgspec.json.encode(each) if json else _replayed_line(each))

    _run(data_dir, work)
    if is_stuck:
        raise typer.Exit(1)


def _run(data_dir: Path | None, work: Callable[[Installation], Awaitable[None]]) -> None:
    run_process(load_settings({"data_dir": data_dir, "log_level": "ERROR"}), work)


def _parked_line(each: Parked) -> str:
    place = f"{each.read_model} v{each.version} {each.topic}[{each.partition}]"
    return f"{place} {each.key}: {each.events:,} events from {each.first_offset}, {each.reason}"


def _letter_line(letter: DeadLetter) -> str:
    record = letter.record
    what = record.headers.get("ce_type", "no event")
    why = letter.reason or "waits behind the one before"
    return f"{record.topic}[{record.partition}] {record.offset} {what}: {why}"


def _letter_told(letter: DeadLetter) -> dict[str, object]:
    record = letter.record
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key,
        "headers": record.headers,
        "value": record.value.decode(errors="replace"),
        "error": letter.error,
        "reason": letter.reason,
        "parked_at": letter.parked_at,
    }


def _replayed_line(each: Replayed) -> str:
    title = f"{each.read_model} v{each.version} {each.topic}[{each.partition}] {each.key}"
    if each.closed:
        return f"{title}: replayed, {each.events:,} events applied"
    if each.reason is not None:
        return f"{title}: stays parked: {each.reason}"
    return f"{title}: {each.events:,} events would be applied; add --yes to do it"
