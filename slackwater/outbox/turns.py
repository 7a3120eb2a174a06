"""Turns at the lead of a source: stand by until nobody leads, lead until replaced or cut off.

    wait for the lease ──► lead ──► fenced, or database or log in trouble ──┐
         ▲                                                                  │
         └────────────── let some time pass, more each time ◄───────────────┘

The lease lets one of several work and the others wait; it may be lost without its holder knowing,
so what keeps claims true is the epoch (`slackwater.outbox.leader`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from slackwater.backoff import backoff
from slackwater.clock import Clock
from slackwater.database.port import Database, Session
from slackwater.errors import FencedError, TransientError
from slackwater.logs import logger

_ROLE = "relay"
_BACKOFF_FIRST_S = 0.1
_BACKOFF_MAX_S = 2.0
_STEADY_S = 10.0
_log = logger("relay")


async def take_turns(
    source: str, *, database: Database, clock: Clock, lead: Callable[[Session], Awaitable[None]]
) -> None:
    """Call `lead` with the lease whenever nobody else has it, until cancelled."""
    while True:
        began_s = clock.monotonic()
        delays_s = backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S)
        while clock.monotonic() - began_s < _STEADY_S:
            began_s = clock.monotonic()
            await _take_turn(source, database, lead, next(delays_s))


async def _take_turn(
    source: str, database: Database, lead: Callable[[Session], Awaitable[None]], delay_s: float
) -> None:
    """Lead until it ends in trouble that passes, then let some time pass."""
    try:
        async with database.lease(_ROLE) as session:
            await lead(session)
    except (FencedError, TransientError) as error:
        _log.warning("relay stands by", source=source, reason=str(error), for_s=delay_s)
        await asyncio.sleep(delay_s)
