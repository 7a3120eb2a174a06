"""`slackwater run`: the whole loop on this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx2
import typer
from rich.console import Console

from slackwater.command_line.options import DataDir, Port
from slackwater.command_line.process import run_process
from slackwater.errors import ConfigurationError
from slackwater.file_lock import try_lock
from slackwater.http.server import require_free
from slackwater.installation import Installation
from slackwater.parts.roster import all_parts
from slackwater.settings import Settings, load_settings, make_data_dir, with_group_instance_id
from slackwater.supervisor.in_process import run_in_process
from slackwater.supervisor.processes import run_processes

_ASK_READY_S = 0.1
_console = Console(stderr=True, highlight=False, soft_wrap=True)


class DataFolderInUseError(ConfigurationError):
    """Another `slackwater run` uses the folder; stop it or choose another with --data-dir."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)


def run(
    port: Port = None,
    data_dir: DataDir = None,
    demo: Annotated[
        bool | None, typer.Option(help="Fill an empty installation with demo data. [on]")
    ] = None,
    processes: Annotated[
        bool, typer.Option("--processes", help="Run every part as a process of its own.")
    ] = False,
) -> None:
    """Start everything on this machine; Ctrl-C stops it, and a second start goes on."""
    settings = load_settings({"port": port, "data_dir": data_dir, "demo": demo})
    with _alone_in(make_data_dir(settings)):
        settings = with_group_instance_id(settings)
        run_process(settings, lambda installation: _run(installation, processes=processes))


async def _run(installation: Installation, *, processes: bool) -> None:
    parts = all_parts(installation.manifest)
    # Before anything starts: whoever answers there could be taken for us.
    require_free(installation.settings.host, installation.ports(processes=processes))
    started_s = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        if processes:
            tasks.create_task(run_processes(installation.settings, parts))
        else:
            tasks.create_task(run_in_process(installation, parts))
        tasks.create_task(_accompany(installation, started_s))


async def _accompany(installation: Installation, started_s: float) -> None:
    """Tell when everything is ready, then see to the demo data."""
    settings = installation.settings
    await _until_ready(settings)
    _greet(settings, time.monotonic() - started_s)
    if settings.demo:
        await _seed(installation)


async def _until_ready(settings: Settings) -> None:
    async with httpx2.AsyncClient() as client:
        url = f"http://{settings.host}:{settings.port}/readyz"
        while not await _is_ready(client, url):  # noqa: ASYNC110 - other processes answer
            await asyncio.sleep(_ASK_READY_S)


async def _is_ready(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


def _greet(settings: Settings, seconds: float) -> None:
    base = f"http://{settings.host}:{settings.port}"
    _console.print(f"\n[bold]Slackwater is ready[/] after {seconds:.1f} s.\n")
    _console.print(f"  GraphQL and GraphiQL  {base}/graphql")
    _console.print(f"  Ready, metrics        {base}/readyz  {base}/metrics")
    _console.print(f"  Data                  {settings.data_dir.resolve()}\n")
    _console.print("Ctrl-C stops everything; the next start goes on with the same data.\n")


async def _seed(installation: Installation) -> None:
    demo = installation.manifest.demo()
    shown = ""
    async for progress in demo.seed(installation.service_urls):
        line = f"demo data: {progress.label} {progress.done}/{progress.total}"
        if line != shown:
            _console.print(line)
        shown = line


@contextmanager
def _alone_in(data_dir: Path) -> Iterator[None]:
    """Hold the folder's lock; two supervisors in one folder would fence each other for ever."""
    with (data_dir / "lock").open("w") as lock:
        if not try_lock(lock):
            raise DataFolderInUseError(
                f"another slackwater run uses {data_dir}; "
                "stop it or choose another folder with --data-dir"
            )
        yield
