"""Runs a coroutine as a whole process: logs, event loop, signals, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable

import uvloop

from slackwater.garbage import set_aside_what_stays
from slackwater.installation import Installation
from slackwater.logs import configure_logs
from slackwater.settings import Settings, make_data_dir
from slackwater.supervisor.orphan import end_with_supervisor


def run_process(settings: Settings, work: Callable[[Installation], Awaitable[None]]) -> None:
    """Run `work` until it ends or the process is asked to (SIGINT, SIGTERM)."""
    configure_logs(level=settings.log_level, json=settings.log_json)
    make_data_dir(settings)
    end_with_supervisor()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_run(settings, work))


async def _run(settings: Settings, work: Callable[[Installation], Awaitable[None]]) -> None:
    installation = Installation(settings)
    set_aside_what_stays()
    working = asyncio.ensure_future(work(installation))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, working.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await working
    finally:
        await installation.close()
