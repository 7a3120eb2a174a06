"""Lets a command wait until a service has taken in what its client wrote elsewhere.

An order priced from the service's own copy of the catalogue must see the product that the same
client has just added; the copy has it once the consumer has reached a tick later than the token's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from slackwater.database.port import Database
from slackwater.event_log.port import EventLog, TopicPartition
from slackwater.freshness.source_track import SourceTrack
from slackwater.read_models.progress import Place, went_back
from slackwater.service.saga_consumer import SagaConsumer
from slackwater.watermarks.follower import follow_watermarks
from slackwater.watermarks.record import Watermark
from slackwater.watermarks.tick import Tick

_LOOK_INTERVAL_S = 0.02
_Positions = dict[TopicPartition, int]
_Places = dict[str, dict[TopicPartition, Place]]
"""By the consumer's name."""


class _Reached(NamedTuple):
    """The newest tick that was reached, and where the consumer was then."""

    tick: Tick
    positions: _Positions


class _Look(NamedTuple):
    """Where the consumers were; the one that began last says most."""

    number: int
    places: _Places


class ConsumedSources:
    """How far the consumers of one service have come with each source.

    Their positions are read from the service's database: other instances of the service have a
    share of the partitions, too.
    """

    def __init__(
        self, consumers: Sequence[SagaConsumer], *, database: Database, log: EventLog
    ) -> None:
        self._consumers = consumers
        self._database = database
        self._event_log = log
        self._tracks: dict[str, SourceTrack] = {}
        self._reached: dict[tuple[str, str], _Reached] = {}
        self._looks = 0
        self._newest = _Look(0, {})
        self._demanded = asyncio.Event()
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        """Follow the watermarks until cancelled, from the first demand on.

        Most services never meet one; whoever met one will meet the next.
        """
        await self._demanded.wait()
        await follow_watermarks(self._event_log, self.on_watermarks)

    def on_watermarks(self, watermarks: Sequence[Watermark]) -> None:
        for watermark in watermarks:
            self._tracks.setdefault(watermark.source, SourceTrack()).add_watermark(watermark)
        self.on_progress()

    def on_progress(self) -> None:
        """Wake whoever waits; consumers call this after each commit."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def wait_for(self, ticks: Mapping[str, Tick], *, timeout_ms: int) -> bool:
        """Wait until every named source that this service consumes has passed its tick."""
        if not ticks:
            return True
        self._demanded.set()
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while not await self._have_passed(ticks):
                    await self._wait_for_change()
        except TimeoutError:
            return False
        return True

    async def _wait_for_change(self) -> None:
        """Wait for progress here, and look soon: nobody tells of progress elsewhere."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_INTERVAL_S):
                await self._changed.wait()

    async def _have_passed(self, ticks: Mapping[str, Tick]) -> bool:
        self._looks += 1
        look = _Look(self._looks, await self._database.read(self._places))
        self._newest = max(look, self._newest, key=lambda each: each.number)
        places = self._newest.places
        return all(self._has_passed(source, tick, places) for source, tick in ticks.items())

    def _places(self, connection: Connection) -> _Places:
        return {consumer.name: consumer.places(connection) for consumer in self._consumers}

    def _has_passed(self, source: str, tick: Tick, places: _Places) -> bool:
        track = self._tracks.get(source)
        if track is None or track.newest_watermark is None:
            return False
        topics = track.newest_watermark.topics
        return all(
            self._advance(source, consumer.name, places[consumer.name], consumed).is_after(tick)
            for consumer in self._consumers
            if (consumed := topics & set(consumer.topics))
        )

    def _advance(
        self,
        source: str,
        consumer: str,
        places: Mapping[TopicPartition, Place],
        topics: Collection[str],
    ) -> Tick:
        """Return the newest tick reached; the search goes on from the one before.

        It begins anew where the service's database was put back, or is a standby's now that lacks
        what the consumer had done.
        """
        positions = {at: place.position for at, place in places.items()}
        before = self._reached.pop((source, consumer), None)
        if before is not None and went_back(before.positions, positions):
            before = None
        reached = self._tracks[source].reached(
            positions,
            topics,
            timelines={at: place.timeline for at, place in places.items() if place.timeline},
            since=before.tick if before is not None else None,
        )
        if reached is None:
            return Tick(0, 0)
        self._reached[source, consumer] = _Reached(reached, positions)
        return reached
