"""`slackwater audit SOURCE`: who has done what in a service, when and why."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from slackwater.adapters import has_database
from slackwater.audit import Entry, Known, Wanted, find_known, read_entries
from slackwater.command_line.installed import require_database, require_installation
from slackwater.command_line.options import DataDir, Json
from slackwater.command_line.process import run_process
from slackwater.errors import SlackwaterError
from slackwater.installation import Installation
from slackwater.service.definition import ServiceDefinition
from slackwater.service.parameters import moment
from slackwater.settings import load_settings

_LIMIT_MAX = 10_000


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(audit)


def audit(
    source: Annotated[str, typer.Argument(help="The service whose events are read.")],
    aggregate: Annotated[
        str | None, typer.Option("--aggregate", help="Only of this aggregate, by its id.")
    ] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only what this actor did.")] = None,
    correlation: Annotated[
        str | None, typer.Option("--correlation", help="Only what goes back to this mutation.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Only from this time on (2026-01-31T12:00:00Z).")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Only before this time.")] = None,
    after: Annotated[
        int | None, typer.Option("--after", help="Begin behind this position: the next page.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=_LIMIT_MAX, help="Show so many.")
    ] = 100,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show the events of a service with who, when and why, oldest first.

    A cause is an event, also one of another service, or a request as NAME/ID: a command, or what a
    service does by itself. With --json each event is one line, its data with it. Where there is
    more, the last line tells (on standard error) how to see it.
    """
    wanted = Wanted(
        aggregate_id=aggregate,
        actor=actor,
        correlation_id=correlation,
        since=None if since is None else moment(since, "--since"),
        until=None if until is None else moment(until, "--until"),
    )
    settings = load_settings({"data_dir": data_dir, "log_level": "ERROR"})
    require_installation(settings)

    async def work(installation: Installation) -> None:
        service = installation.manifest.service(source)
        require_database(settings, source)
        entries = await _read(installation, service, wanted, after=after, limit=limit + 1)
        shown = entries[:limit]
        causes = await _causes(installation, service, shown)
        for entry in shown:
            cause = causes.get(entry.causation_id or "")
            typer.echo(msgspec.json.encode(_told(entry, cause)) if json else _line(entry, cause))
        if len(entries) > limit:
            typer.echo(f"There are more; see them with --after {shown[-1].position}", err=True)

    run_process(settings, work)


async def _read(
    installation: Installation,
    service: ServiceDefinition,
    wanted: Wanted,
    *,
    after: int | None,
    limit: int,
) -> list[Entry]:
    aggregate_types = {
        each.aggregate_type for each in service.event_types if each.topic.name in service.topics
    }
    return await installation.database(service.name).read(
        lambda connection: read_entries(
            connection,
            service.tables,
            wanted,
            aggregate_types=aggregate_types,
            after=after,
            limit=limit,
        )
    )


async def _causes(
    installation: Installation, service: ServiceDefinition, entries: list[Entry]
) -> dict[str, Known]:
    """Return the events that have caused others, as far as this process may read their services."""
    named = {entry.causation_id for entry in entries if entry.causation_id is not None}
    ids = {each for each in named if "/" not in each}  # with a stroke it names a request
    causes: dict[str, Known] = {}
    for name in (service.name, *installation.manifest.services):
        if ids <= causes.keys():
            break
        if not has_database(installation.settings, name):
            continue
        try:
            causes |= await _find(installation, name, ids - causes.keys())
        except SlackwaterError:
            if name == service.name:
                raise
    return causes


async def _find(installation: Installation, name: str, event_ids: set[str]) -> dict[str, Known]:
    tables = installation.manifest.service(name).tables
    return await installation.database(name).read(
        lambda connection: find_known(connection, tables, name, event_ids)
    )


def _line(entry: Entry, cause: Known | None) -> str:
    because = entry.causation_id or "unknown"
    if cause is not None:
        because = f"{cause.type} ({cause.aggregate_type} {cause.aggregate_id} v{cause.version})"
    return (
        f"{entry.recorded_at:%Y-%m-%d %H:%M:%S.%f} {entry.type} "
        f"({entry.aggregate_type} {entry.aggregate_id} v{entry.version}) "
        f"by {entry.actor or 'nobody named'}, because of {because}, "
        f"correlation {entry.correlation_id}"
    )


def _told(entry: Entry, cause: Known | None) -> dict[str, Any]:
    return {**msgspec.structs.asdict(entry), "cause": cause}
