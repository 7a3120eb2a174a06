"""Runs every part as a task of this process; a part that fails is started again, alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from slackwater.errors import ConfigurationError
from slackwater.installation import Installation
from slackwater.logs import logger
from slackwater.parts.roster import Part
from slackwater.supervisor.backoff import Backoff

_log = logger("supervisor")


async def run_in_process(installation: Installation, parts: Sequence[Part]) -> None:
    """Run all parts until cancelled, then end whoever asks before whoever answers.

    Raises:
        ConfigurationError: a part can never start as things are set up.
    """
    running = [asyncio.create_task(_keep_running(installation, part)) for part in parts]
    try:
        ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
        for task in ended:
            task.result()
    finally:
        for task in reversed(running):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _keep_running(installation: Installation, part: Part) -> None:
    backoff = Backoff()
    while True:
        backoff.started()
        error = await _run(installation, part)
        delay_s = backoff.next_delay_s()
        _log.error("part died", name=part.name, restart_in_s=delay_s, exc_info=error)
        await asyncio.sleep(delay_s)


async def _run(installation: Installation, part: Part) -> Exception | None:
    """Run the part until it ends; return what ended it.

    This is the loop that no failure of a part may leave, so it catches everything but a wrong
    set-up, which no restart mends.
    """
    try:
        await part.run(installation)
    except Exception as error:
        _raise_if_set_up_wrong(error)
        return error
    return None


def _raise_if_set_up_wrong(error: BaseException) -> None:
    if isinstance(error, ConfigurationError):
        raise error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            _raise_if_set_up_wrong(inner)
