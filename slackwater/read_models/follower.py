"""Follows the progress of all read models and hands it on whenever it may have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from slackwater.cancellation import end_if_cancelled
from slackwater.errors import TransientError
from slackwater.logs import logger
from slackwater.read_models.progress import ProgressStore, ReadModelProgress

_LOOK_AGAIN_MS = 500
_log = logger("progress")


async def follow_progress(
    store: ProgressStore, take: Callable[[Sequence[ReadModelProgress]], None]
) -> None:
    """Call `take` with the newest progress until cancelled; what fails is asked again."""
    while True:
        try:
            take(await store.load())
        except TransientError as error:
            _log.warning("progress cannot be read", reason=str(error))
            await asyncio.sleep(_LOOK_AGAIN_MS / 1000)
        await store.wait_for_change(timeout_ms=_LOOK_AGAIN_MS)
        end_if_cancelled()
