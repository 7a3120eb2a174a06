"""The probe: asks each source for its current tick, once every heartbeat, for all requests.

The instant that counts is that of sending: what was visible then is in the answer's tick, however
long the answer takes. A source that does not answer makes every bound grow, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import msgspec

from slackwater.clock import Clock
from slackwater.freshness.bound import Instant
from slackwater.freshness.tick_answer import TickAnswer
from slackwater.logs import logger
from slackwater.watermarks.tick import Tick

_TIMEOUT = aiohttp.ClientTimeout(total=1.0)
_log = logger("probe")


TakeTick = Callable[[str, Tick, Instant, int], object]


class SourceProbe:
    """Probes one source at `url` for ever."""

    def __init__(
        self,
        source: str,
        url: str,
        *,
        client: aiohttp.ClientSession,
        take: TakeTick,
        clock: Clock,
        heartbeat_ms: int = 100,
    ) -> None:
        self._source = source
        self._url = url
        self._client = client
        self._take = take
        self._clock = clock
        self._heartbeat_s = heartbeat_ms / 1000
        self._answering = False  # not yet: while everything starts, silence is no news

    async def run(self) -> None:
        """Probe until cancelled; one question at a time."""
        while True:
            sent = Instant(self._clock.monotonic(), self._clock.now())
            await self._probe(sent)
            elapsed_s = self._clock.monotonic() - sent.monotonic_s
            await asyncio.sleep(max(0.0, self._heartbeat_s - elapsed_s))

    async def _probe(self, sent: Instant) -> None:
        try:
            async with self._client.get(self._url, timeout=_TIMEOUT) as response:
                response.raise_for_status()
                answer = msgspec.json.decode(await response.read(), type=TickAnswer)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            self._report(answering=False, reason=f"{type(error).__name__}: {error}")
            return
        if answer.source != self._source:
            self._report(
                answering=False, reason=f"{self._url} is {answer.source}; mend the address"
            )
            return
        self._report(answering=True)
        tick = Tick(answer.epoch, answer.n, answer.timeline)
        self._take(self._source, tick, sent, answer.pending_events)

    def _report(self, *, answering: bool, reason: str = "") -> None:
        if answering != self._answering:
            self._answering = answering
            tell = _log.info if answering else _log.warning
            tell("source answers", source=self._source, answering=answering, reason=reason)
