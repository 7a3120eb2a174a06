"""A service that is asked for its tick, and the relay beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from slackwater.installation import Installation
from slackwater.parts.relay import run_relay
from slackwater.parts.service import run_service
from slackwater.settings import load_settings
from tests.end_to_end.harness import free_port_block

HEARTBEAT_MS = 10_000
SOON_S = 5.0


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    installation = Installation(
        load_settings(
            {"data_dir": tmp_path, "port": free_port_block(), "heartbeat_ms": HEARTBEAT_MS}
        )
    )
    yield installation
    await installation.close()


@pytest.fixture
async def tick_url(installation: Installation) -> AsyncIterator[str]:
    """Where the customers service answers while it and its relay run."""
    parts = [
        asyncio.create_task(run_service(installation, "customers")),
        asyncio.create_task(run_relay(installation, "customers")),
    ]
    port = installation.service_port("customers")
    yield f"http://{installation.settings.host}:{port}/internal/tick"
    for part in parts:
        part.cancel()
    await asyncio.gather(*parts, return_exceptions=True)


async def test_an_idle_relay_ticks_because_somebody_asked(tick_url: str) -> None:
    """So that the answer is proven at once, and not only a heartbeat later."""
    async with aiohttp.ClientSession() as client:
        first = await _tick_after(client, tick_url, 0)
        async with asyncio.timeout(SOON_S):
            await _tick_after(client, tick_url, await _tick_after(client, tick_url, first))


async def _tick_after(client: aiohttp.ClientSession, url: str, n: int) -> int:
    """Ask until the tick is a later one; return it."""
    while True:
        try:
            async with client.get(url) as response:
                answered: int = (await response.json())["n"]
        except aiohttp.ClientConnectionError:  # it is about to start
            answered = n
        if answered > n:
            return answered
        await asyncio.sleep(0.02)
