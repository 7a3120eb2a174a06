"""`slackwater rebuild NAME`: builds a read model anew beside the running one, and switches."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from slackwater.command_line.options import DataDir, Json
from slackwater.command_line.process import run_process
from slackwater.installation import Installation
from slackwater.parts.rebuild import HAND_OVER_S, RebuildReport, drop_left_versions
from slackwater.parts.rebuild import rebuild as rebuild_read_model
from slackwater.settings import load_settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rebuild)


def rebuild(
    name: str,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Only remove versions that readers have left.")
    ] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Build a read model anew while readers use the present one, then switch to it.

    Ctrl-C pauses; the next run goes on where this one stopped.
    """
    settings = load_settings({"data_dir": data_dir})

    async def work(installation: Installation) -> None:
        if drop_old:
            dropped = await drop_left_versions(installation, name)
            _say_dropped(name, dropped, json=json)
            return
        async for report in rebuild_read_model(installation, name):
            typer.echo(msgspec.json.encode(report) if json else _line(report))

    run_process(settings, work)


def _line(report: RebuildReport) -> str:
    title = f"{report.read_model} version {report.version}"
    if report.active:
        return (
            f"{title}: readers use it; this command keeps it current until a projector does, "
            f"{HAND_OVER_S:.0f} s at most; `slackwater rebuild --drop-old` removes the one before"
        )
    left = "" if report.seconds_left is None else f", {report.seconds_left} s left"
    counted = f"{report.events_done:,}/{report.events_total:,} events"
    return f"{title}: {counted}, {report.events_per_second:,.0f}/s{left}"


def _say_dropped(name: str, versions: list[int], *, json: bool) -> None:
    if json:
        typer.echo(msgspec.json.encode({"read_model": name, "dropped_versions": versions}))
    elif versions:
        typer.echo(f"{name}: removed version {', '.join(map(str, versions))}")
    else:
        typer.echo(f"{name}: there is no version that readers have left")
