"""The freshness board of a process: fed by probes, watermarks and progress while it lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import aiohttp

from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.probe import SourceProbe
from slackwater.installation import Installation
from slackwater.read_models.follower import follow_progress
from slackwater.read_models.read_model import ReadModel
from slackwater.watermarks.follower import follow_watermarks


@asynccontextmanager
async def followed_board(
    installation: Installation, read_models: Iterable[ReadModel]
) -> AsyncIterator[FreshnessBoard]:
    """Yield a board that is kept up to date; what fails in keeping it ends the context."""
    heartbeat_ms = installation.settings.heartbeat_ms
    board = FreshnessBoard(read_models, installation.clock, heartbeat_ms=heartbeat_ms)
    async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as tasks:
        following = [
            tasks.create_task(follow_watermarks(installation.event_log, board.on_watermarks)),
            tasks.create_task(follow_progress(installation.documents.progress, board.on_progress)),
            *(
                tasks.create_task(_probe(installation, board, client, source).run())
                for source in board.sources
            ),
        ]
        try:
            yield board
        finally:
            for task in following:
                task.cancel()


def _probe(
    installation: Installation, board: FreshnessBoard, client: aiohttp.ClientSession, source: str
) -> SourceProbe:
    return SourceProbe(
        source,
        f"{installation.service_urls[source]}/internal/tick",
        client=client,
        take=board.on_probe,
        clock=installation.clock,
        heartbeat_ms=installation.settings.heartbeat_ms,
    )
