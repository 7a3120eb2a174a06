"""`slackwater demo`: fills the store with demo data, or keeps it busy."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated

import typer

from slackwater.command_line.options import DataDir, Port
from slackwater.command_line.process import run_process
from slackwater.gateway import DemoProgress
from slackwater.installation import Installation
from slackwater.settings import load_settings


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    demo = typer.Typer(help="Demo data and traffic for a running installation.")
    demo.command()(seed)
    demo.command()(traffic)
    app.add_typer(demo, name="demo", no_args_is_help=True)


def seed(port: Port = None, data_dir: DataDir = None) -> None:
    """Fill the running installation with demo data; a second run adds what is missing."""
    settings = load_settings({"port": port, "data_dir": data_dir})

    async def work(installation: Installation) -> None:
        await _show(installation.manifest.demo().seed(installation.service_urls))

    run_process(settings, work)


def traffic(
    rate: Annotated[float, typer.Option(min=0.01, max=10_000, help="Orders a second.")] = 5.0,
    port: Port = None,
    data_dir: DataDir = None,
) -> None:
    """Place orders at a steady rate until Ctrl-C; ship, cancel and restock as a store would."""
    settings = load_settings({"port": port, "data_dir": data_dir})

    async def work(installation: Installation) -> None:
        await _show(installation.manifest.demo().traffic(installation.service_urls, rate))

    run_process(settings, work)


async def _show(progresses: AsyncIterator[DemoProgress]) -> None:
    speed = _Speed()
    async for progress in progresses:
        typer.echo(_line(progress, speed.a_second(progress)))


def _line(progress: DemoProgress, a_second: float | None) -> str:
    counted = f"  {progress.done:,}/{progress.total:,}" if progress.total else ""
    rated = f"  {a_second:.1f}/s" if a_second is not None else ""
    return f"{progress.label}{counted}{rated}"


class _Speed:
    """How fast a stage gets on, from one progress to the next."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None

    def a_second(self, progress: DemoProgress) -> float | None:
        """Return the speed since the last progress, None at the beginning of a stage."""
        now_s = time.monotonic()
        last, self._last = self._last, (progress.done, now_s)
        if last is None or progress.done < last[0] or now_s <= last[1]:
            return None
        return (progress.done - last[0]) / (now_s - last[1])
