"""`slackwater lag`: every read model and source, live, with the stage that limits the bound.

What consumers of services have parked is told with it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from slackwater.command_line.installed import require_installation
from slackwater.command_line.options import DataDir, Json, Port
from slackwater.command_line.process import run_process
from slackwater.freshness.bound import FreshnessStatus
from slackwater.installation import Installation
from slackwater.parts.consumer_dead_letters import ParkedKeys, consumers_with_holes
from slackwater.parts.lag import Lag, watched_lag
from slackwater.settings import load_settings

_COLOURS = {
    FreshnessStatus.LIVE: "green",
    FreshnessStatus.LAGGING: "yellow",
    FreshnessStatus.REBUILDING: "cyan",
    FreshnessStatus.STALLED: "bold red",
    FreshnessStatus.UNKNOWN: "bold red",
}
_UNKNOWN = "?"
_INTERVAL_S = 0.5


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(lag)


def lag(
    port: Port = None,
    data_dir: DataDir = None,
    once: Annotated[
        bool, typer.Option("--once", help="Show it once; also where the output is no terminal.")
    ] = False,
    json: Json = False,
) -> None:
    """Show how stale every read model can be, source by source, until Ctrl-C.

    Limited by: OUTBOX, LOG, PROJECTOR, REFRESH, HOLE or PROBE is the stage that keeps a bound from
    being smaller. It asks the services itself, so it tells the truth while no gateway runs. Below
    stands what is parked, also by consumers of services.
    """
    settings = load_settings({"port": port, "data_dir": data_dir, "log_level": "ERROR"})
    require_installation(settings)
    shows_once = once or json or not sys.stdout.isatty()

    async def work(installation: Installation) -> None:
        async with watched_lag(installation) as lags:
            if shows_once:
                _show(lags(), await consumers_with_holes(installation), json=json)
                return
            with Live(auto_refresh=False) as live:
                while True:
                    parked = await consumers_with_holes(installation)
                    live.update(_table(lags(), parked), refresh=True)
                    await asyncio.sleep(_INTERVAL_S)

    run_process(settings, work)


def _show(lags: Sequence[Lag], parked: Sequence[ParkedKeys], *, json: bool) -> None:
    if json:
        typer.echo(msgspec.json.encode([*lags, *parked]))
    else:
        Console(soft_wrap=True).print(_table(lags, parked))


def _table(lags: Sequence[Lag], parked: Sequence[ParkedKeys]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("read model", "source", "status", "at most", "events", "limited by", "tick"):
        numeric = heading in ("at most", "events", "tick")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=True)
    for each in lags:
        table.add_row(
            f"{each.read_model} v{each.version}",
            each.source,
            Text(each.status, style=_COLOURS[each.status]),
            _UNKNOWN if each.max_staleness_ms is None else f"{each.max_staleness_ms:,} ms",
            _UNKNOWN if each.lag_events is None else f"{each.lag_events:,}",
            each.limited_by or _UNKNOWN,
            each.tick or _UNKNOWN,
        )
    reasons = {each.read_model: _trouble(each) for each in lags if each.reason is not None}
    table.caption = "\n".join([*reasons.values(), *map(_consumer_trouble, parked)])
    return table


def _trouble(lag: Lag) -> str:
    if lag.holes:
        return f"{lag.read_model} has parked {lag.holes:,} keys of {lag.source}: {lag.reason}"
    return f"{lag.read_model} is halted: {lag.reason}"


def _consumer_trouble(parked: ParkedKeys) -> str:
    if parked.holes is None:
        return f"{parked.consumer} cannot be asked what it has parked: {parked.reason}"
    return f"{parked.consumer} has parked {parked.holes:,} keys: {parked.reason}"
