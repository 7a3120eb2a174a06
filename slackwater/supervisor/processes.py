"""Runs every part as a process of its own, as production does; one that dies is started again.

The children hold the reading end of a pipe from here: when this process is gone, however it ended,
the pipe closes and they end, too. Nothing is left running that nobody watches.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from slackwater.logs import logger
from slackwater.parts.roster import Part
from slackwater.settings import Settings
from slackwater.supervisor.backoff import Backoff
from slackwater.supervisor.orphan import SUPERVISED

_TERMINATE_S = 10.0
_log = logger("supervisor")


async def run_processes(settings: Settings, parts: Sequence[Part]) -> None:
    """Run all parts until cancelled, then end them."""
    environment = _environment(settings)
    async with asyncio.TaskGroup() as tasks:
        for part in parts:
            tasks.create_task(_keep_running(part, environment))


async def _keep_running(part: Part, environment: dict[str, str]) -> None:
    backoff = Backoff()
    while True:
        backoff.started()
        process = await _start(part, environment)
        _log.info("part started", name=part.name, pid=process.pid)
        try:
            status = await process.wait()
        finally:
            await _end(process)
        delay_s = backoff.next_delay_s()
        _log.error("part died", name=part.name, status=status, restart_in_s=delay_s)
        await asyncio.sleep(delay_s)


async def _start(part: Part, environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "slackwater.command_line",
        *part.arguments,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the process if it still runs: asked first, forced when it does not listen."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _TERMINATE_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _environment(settings: Settings) -> dict[str, str]:
    """The environment in which children read the same settings."""
    values = settings.model_dump(mode="json", exclude_none=True)
    own = {f"SLACKWATER_{name.upper()}": _text(value) for name, value in values.items()}
    return {**os.environ, **own, SUPERVISED: "1"}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
