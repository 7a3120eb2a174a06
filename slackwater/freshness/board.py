"""The freshness board: everything a process knows of sources and read models, followed live.

It is fed in the background (probes, watermarks, progress), so that a request costs no extra round
trip. A request takes a `Reading` first and reads its data second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from slackwater.clock import Clock
from slackwater.event_log.port import OnePartition, TopicPartition
from slackwater.freshness.bound import Instant, Reach, Reading
from slackwater.freshness.holes import Holes, passed
from slackwater.freshness.limit import Stages, relaying
from slackwater.freshness.source_track import SourceTrack
from slackwater.read_models.progress import (
    FIRST_VERSION,
    ReadModelProgress,
    ReadModelState,
    active_entry,
    went_back,
)
from slackwater.read_models.read_model import ReadModel
from slackwater.watermarks.record import Watermark
from slackwater.watermarks.tick import Tick

_HEARTBEAT_MS = 100


class Rebuild(msgspec.Struct, frozen=True, kw_only=True):
    """How far a version is that is being built: events read, of those in the log now."""

    version: int
    events_done: int
    events_total: int


class _Model:
    """A read model's progress, and the newest tick of each source that it has reached.

    `reached` and `proven` hold for all but what is parked; `reached_by_all` and `proven_of_all` end
    where the first hole begins.
    """

    def __init__(self, read_model: ReadModel) -> None:
        self.read_model = read_model
        self.progress: ReadModelProgress | None = None
        self.building: ReadModelProgress | None = None
        self.reached: dict[str, Tick | None] = dict.fromkeys(read_model.sources)
        self.proven: dict[str, Instant | None] = dict.fromkeys(read_model.sources)
        self.reached_by_all: dict[str, Tick | None] = dict.fromkeys(read_model.sources)
        self.proven_of_all: dict[str, Instant | None] = dict.fromkeys(read_model.sources)
        self.holes = Holes(read_model)

    @property
    def version(self) -> int:
        return self.progress.model.version if self.progress is not None else FIRST_VERSION

    @property
    def positions(self) -> dict[TopicPartition, int]:
        return self.progress.positions if self.progress is not None else {}

    @property
    def timelines(self) -> dict[TopicPartition, str]:
        return self.progress.timelines if self.progress is not None else {}

    def follow(self, progress: ReadModelProgress) -> None:
        """Take over new progress; whatever went back (a restored store) is proven anew.

        So is another version: what it has parked need not be what the one before had.
        """
        if self.version != progress.model.version or went_back(self.positions, progress.positions):
            self.reached = dict.fromkeys(self.reached)
            self.proven = dict.fromkeys(self.proven)
            self.reached_by_all = dict.fromkeys(self.reached)
            self.proven_of_all = dict.fromkeys(self.proven)
        self.progress = progress
        self.holes = Holes(self.read_model, progress.holes)

    def advance(self, source: str, track: SourceTrack) -> None:
        """Find the newest tick reached, and the newest instant that it proves.

        In another timeline than its source's a read model proves nothing until it is rebuilt: the
        source hands out versions again that the read model has, and drops as old ones.
        """
        reached = track.reached(
            self.positions,
            self.read_model.topics[source],
            timelines=self.timelines,
            since=self.reached[source],
        )
        self.reached[source] = reached
        self.proven[source] = (
            _newer(self.proven[source], track.proven(reached)) if reached is not None else None
        )
        self._advance_to_holes(source, track)

    def by_key(
        self, source: str, track: SourceTrack, only: Mapping[str, OnePartition], holes: Holes
    ) -> tuple[Tick | None, Instant | None]:
        """Find the tick reached, and the instant proven, if of some topics one partition counts.

        Nothing beyond the holes counts.
        """
        found = holes.of_source(source)
        if found:
            reached, proven = self.reached_by_all[source], self.proven_of_all[source]
        else:
            reached, proven = self.reached[source], self.proven[source]
        if self.has_parted(source, track):
            return reached, proven
        positions, topics = passed(self.positions, found), self.read_model.topics[source]
        by_key = track.reached_in(positions, topics, only, since=reached)
        return by_key, _newer(proven, track.proven(by_key)) if by_key is not None else proven

    def written(self, source: str, track: SourceTrack) -> Instant | None:
        """Return the newest instant that would be proven if all that is written could be seen."""
        proven = self.proven[source]
        if self.progress is None or not self.progress.written:
            return proven
        positions, topics = self.positions | self.progress.written, self.read_model.topics[source]
        reached = track.reached(
            positions, topics, timelines=self.timelines, since=self.reached[source]
        )
        return _newer(proven, track.proven(reached)) if reached is not None else proven

    def _advance_to_holes(self, source: str, track: SourceTrack) -> None:
        holes, reached = self.holes.of_source(source), self.reached[source]
        if not holes or reached is None:
            self.reached_by_all[source], self.proven_of_all[source] = reached, self.proven[source]
            return
        by_all, proven = self.reached_by_all[source], self.proven_of_all[source]
        by_all = track.reached_in(
            passed(self.positions, holes), self.read_model.topics[source], {}, since=by_all
        )
        self.reached_by_all[source] = by_all
        self.proven_of_all[source] = (
            _newer(proven, track.proven(by_all)) if by_all is not None else None
        )

    def has_parted(self, source: str, track: SourceTrack) -> bool:
        """Tell whether something is folded of a history that the source has left."""
        topics = self.read_model.topics[source]
        return track.has_parted(self.positions, topics, timelines=self.timelines)


class FreshnessBoard:
    """Knows, for each read model and source, since when nothing can be missing."""

    def __init__(
        self, read_models: Iterable[ReadModel], clock: Clock, *, heartbeat_ms: int = _HEARTBEAT_MS
    ) -> None:
        self._clock = clock
        self._heartbeat_s = heartbeat_ms / 1000
        self._models = {model.name: _Model(model) for model in read_models}
        sources = {source for model in self._models.values() for source in model.reached}
        self._tracks = {source: SourceTrack() for source in sorted(sources)}
        self._pending: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._snapshot: Mapping[str, Reading] | None = None
        self._by_key: dict[tuple[Any, ...], Reading] = {}

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(self._tracks)

    def newest_tick(self, source: str) -> Tick | None:
        """Return the greatest tick that the source is known to have made."""
        track = self._tracks.get(source)
        return track.newest_tick if track is not None else None

    def on_probe(self, source: str, tick: Tick, sent: Instant, pending_events: int = 0) -> bool:
        """Take in a source's answer to a question sent at `sent`.

        Returns:
            False when it proves nothing: the tick went back, or is of another timeline.
        """
        accepted = self._tracks[source].add_probe(tick, sent)
        if accepted:
            self._pending[source] = pending_events
            self._advance([source])
        return accepted

    def on_watermarks(self, watermarks: Iterable[Watermark]) -> None:
        """Take in watermark records in the order of their topic."""
        changed = {watermark.source for watermark in watermarks if self._add(watermark)}
        self._advance(changed)

    def on_progress(self, progress: Iterable[ReadModelProgress]) -> None:
        """Take in the progress of read models; unknown ones are ignored."""
        entries = list(progress)
        for name, model in self._models.items():
            active = active_entry(entries, name)
            if active is not None:
                model.follow(active)
            model.building = _being_built(entries, name)
        self._advance(self._tracks)

    def newest_probe(self, source: str) -> Instant | None:
        """Return when the newest question was sent that the source has answered."""
        return self._tracks[source].newest_probe if source in self._tracks else None

    def newest_watermark_s(self, source: str) -> float | None:
        """Return when the source's newest watermark came, on the monotonic clock."""
        return self._tracks[source].newest_received_s if source in self._tracks else None

    def reading(self, read_model: str) -> Reading:
        """Return what is known of a read model now; take it before reading data."""
        return self.snapshot()[read_model]

    def reading_of_key(self, read_model: str, key: str) -> Reading:
        """Return what is known of one document, or of a list of what has one partition key.

        Take it before reading by the key.

        Where another partition than the key's is behind, or another key is parked, this says more
        than `reading`. It is computed once for all keys of a partition that are not parked, until
        something changes.
        """
        model, reading = self._models[read_model], self.reading(read_model)
        is_behind = any(self._is_behind(model, source) for source in model.reached)
        if not is_behind and not model.holes:
            return reading
        only = model.read_model.partitions_of(key)
        holes = model.holes.of_document(key) if model.holes else model.holes
        of_document = holes.have_document(key)
        place = read_model, tuple(only.values()), holes.places, of_document
        if place not in self._by_key:
            self._by_key[place] = replace(
                reading,
                reaches={
                    source: self._reach_of_key(model, source, only, holes)
                    for source in reading.reaches
                },
                of_document=of_document,
            )
        return self._by_key[place]

    def snapshot(self) -> Mapping[str, Reading]:
        """Return the readings of all read models as known now; shared until something changes."""
        if self._snapshot is None:
            self._snapshot = {name: self._reading(model) for name, model in self._models.items()}
        return self._snapshot

    def _reading(self, model: _Model) -> Reading:
        state = model.progress.state if model.progress is not None else None
        return Reading(
            read_model=model.read_model.name,
            version=model.version,
            reaches={source: self._reach(model, source) for source in model.reached},
            halt_reason=model.progress.reason or "halted"
            if model.progress is not None and state is ReadModelState.HALTED
            else None,
            rebuilding=state is ReadModelState.REBUILDING,
            stamp=model.progress.stamp if model.progress is not None else None,
        )

    def applied(self, read_model: str) -> int:
        """Return how many events the read model is known to have applied."""
        progress = self._models[read_model].progress
        return progress.events_applied if progress is not None else 0

    def rebuild(self, read_model: str) -> Rebuild | None:
        """Return how far the version is that is being built, if one is."""
        model = self._models[read_model]
        if model.building is None:
            return None
        done = sum(model.building.positions.values())
        return Rebuild(
            version=model.building.model.version,
            events_done=done,
            events_total=done + self._missing(model, model.building.positions),
        )

    def _missing(self, model: _Model, positions: Mapping[TopicPartition, int]) -> int:
        return sum(
            track.newest_watermark.missing(positions, model.read_model.topics[source])
            for source in model.reached
            if (track := self._tracks[source]).newest_watermark is not None
        )

    async def wait_for(self, holds: Callable[[], bool], *, deadline_s: float) -> bool:
        """Wait until `holds` after some change; False when the monotonic deadline passes."""
        while not holds():
            remaining_s = deadline_s - self._clock.monotonic()
            if remaining_s <= 0:
                return False
            try:
                await asyncio.wait_for(self._changed.wait(), remaining_s)
            except TimeoutError:
                return holds()
        return True

    def _add(self, watermark: Watermark) -> bool:
        track = self._tracks.get(watermark.source)
        if track is None:
            return False
        track.add_watermark(watermark, self._clock.monotonic())
        return True

    def _advance(self, sources: Collection[str]) -> None:
        for model in self._models.values():
            for source in sources:
                if source in model.reached:
                    model.advance(source, self._tracks[source])
        self._snapshot = None
        self._by_key.clear()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _reach(self, model: _Model, source: str) -> Reach:
        known = model.reached_by_all[source], model.proven_of_all[source]
        return self._reach_with(model, source, model.holes, *known)

    def _reach_of_key(
        self, model: _Model, source: str, only: Mapping[str, OnePartition], holes: Holes
    ) -> Reach:
        known = model.by_key(source, self._tracks[source], only, holes)
        return self._reach_with(model, source, holes, *known)

    def _reach_with(
        self,
        model: _Model,
        source: str,
        holes: Holes,
        reached: Tick | None,
        proven: Instant | None,
    ) -> Reach:
        track, found = self._tracks[source], holes.of_source(source)
        return Reach(
            source=source,
            proven=proven,
            reached=reached,
            lag_events=self._lag_events(model, source, track),
            stages=self._stages(model, source, track, has_hole=bool(found)),
            has_parted=model.has_parted(source, track),
            holes=sum(hole.keys for hole in found),
            hole=found[0] if found else None,
            proven_except_holes=model.proven[source],
        )

    def _is_behind(self, model: _Model, source: str) -> bool:
        newest = self._tracks[source].newest_watermark
        return newest is not None and model.reached[source] != newest.tick

    def _lag_events(self, model: _Model, source: str, track: SourceTrack) -> int | None:
        if track.newest_watermark is None:
            return None
        topics = model.read_model.topics[source]
        unpublished = self._pending.get(source, 0)
        parked = sum(hole.letters for hole in model.holes.of_source(source))
        return unpublished + track.newest_watermark.missing(model.positions, topics) + parked

    def _stages(self, model: _Model, source: str, track: SourceTrack, *, has_hole: bool) -> Stages:
        probe, watermark = track.newest_probe, track.newest_watermark
        claimed = watermark.tick if watermark is not None else None
        state = model.progress.state if model.progress is not None else None
        return Stages(
            probed_s=_monotonic_s(probe),
            claimed_s=_monotonic_s(track.proven(claimed) if claimed is not None else None),
            written_s=_monotonic_s(model.written(source, track)),
            relaying=relaying(track.newest_tick, claimed, self._pending.get(source, 0)),
            has_hole=has_hole or state is ReadModelState.HALTED,
            heartbeat_s=self._heartbeat_s,
        )


def _being_built(entries: Sequence[ReadModelProgress], name: str) -> ReadModelProgress | None:
    """Return the newest version that readers do not use yet."""
    versions = [entry for entry in entries if entry.model.read_model == name]
    newest = max(versions, key=lambda entry: entry.model.version, default=None)
    return None if newest is None or newest.active else newest


def _newer(old: Instant | None, new: Instant | None) -> Instant | None:
    if old is None or new is None:
        return new or old
    return max(old, new, key=lambda instant: instant.monotonic_s)


def _monotonic_s(instant: Instant | None) -> float | None:
    return instant.monotonic_s if instant is not None else None
