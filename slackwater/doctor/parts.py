"""The gateway and the write services: whether each answers where the settings look for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import httpx2

from slackwater.doctor.check import Check
from slackwater.doctor.finding import Seen, broken, caution, ok
from slackwater.installation import Installation

_TIMEOUT_S = 5.0
_SAID_BY_A_BALANCER = frozenset({502, 503, 504})
_START = "slackwater run starts everything on this machine"
_ELSEWHERE = "stop the other program, choose another --port, or correct SLACKWATER_SERVICE_URLS"


@asynccontextmanager
async def opened(installation: Installation) -> AsyncIterator[Sequence[Check]]:
    """Yield one check for each part that others ask over HTTP."""
    settings = installation.settings
    gateway = f"http://{settings.host}:{settings.port}"
    async with httpx2.AsyncClient(timeout=_TIMEOUT_S) as client:
        yield [
            Check(name, partial(_see_alive, client, url), _START)
            for name, url in {"gateway": gateway, **installation.service_urls}.items()
        ]


async def _see_alive(client: httpx2.AsyncClient, url: str) -> Seen:
    try:
        answer = await client.get(f"{url}/livez")
    except httpx2.TimeoutException:
        return caution(f"{url} does not answer within {_TIMEOUT_S:g} s", _START)
    except httpx2.TransportError:
        return caution(f"nothing answers at {url}", _START)
    if answer.status_code in _SAID_BY_A_BALANCER:
        return caution(f"{url} answers with status {answer.status_code}", _START)
    if not _is_ours(answer):
        return broken(f"another program answers at {url}", _ELSEWHERE)
    return ok(f"runs at {url}")


def _is_ours(answer: httpx2.Response) -> bool:
    try:
        return bool(answer.is_success and answer.json() == {"status": "alive"})
    except ValueError:
        return False
