"""What a process knows of a source, and what it may conclude from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slackwater.event_log.port import TopicPartition
from slackwater.freshness import source_track
from slackwater.freshness.bound import Instant
from slackwater.freshness.source_track import SourceTrack
from slackwater.watermarks.record import Watermark
from slackwater.watermarks.tick import Tick

WALL = datetime(2026, 1, 1, tzinfo=UTC)


def at(monotonic_s: float) -> Instant:
    return Instant(monotonic_s, WALL + timedelta(seconds=monotonic_s))


def watermark(
    n: int, *offsets: int, epoch: int = 1, topic: str = "events", timeline: str = ""
) -> Watermark:
    return Watermark(
        source="s",
        timeline=timeline,
        epoch=epoch,
        n=n,
        clock=WALL,
        offsets={topic: list(offsets)},
    )


def positions(*offsets: int) -> dict[TopicPartition, int]:
    return {TopicPartition("events", partition): offset for partition, offset in enumerate(offsets)}


def test_a_probe_proves_only_for_a_later_tick() -> None:
    track = SourceTrack()
    track.add_probe(Tick(1, 5), at(10))
    assert track.proven(Tick(1, 5)) is None
    assert track.proven(Tick(1, 6)) == at(10)


def test_a_later_epoch_is_a_later_tick() -> None:
    track = SourceTrack()
    track.add_probe(Tick(1, 500), at(10))
    assert track.proven(Tick(2, 1)) == at(10)


def test_the_same_answer_to_a_later_question_proves_more() -> None:
    track = SourceTrack()
    track.add_probe(Tick(1, 5), at(10))
    track.add_probe(Tick(1, 5), at(11))
    track.add_probe(Tick(1, 5), at(10.5))
    assert track.proven(Tick(1, 6)) == at(11)


def test_a_tick_that_goes_back_is_refused() -> None:
    track = SourceTrack()
    assert track.add_probe(Tick(1, 5), at(10))
    assert not track.add_probe(Tick(1, 4), at(11))
    assert track.newest_probe == at(10)


def test_a_tick_is_reached_when_all_partitions_are() -> None:
    track = SourceTrack()
    track.add_watermark(watermark(1, 3, 3))
    assert track.reached(positions(3, 2), ["events"]) is None
    assert track.reached(positions(3, 3), ["events"]) == Tick(1, 1)


def test_a_watermark_that_leaves_out_a_topic_says_nothing_of_it() -> None:
    track = SourceTrack()
    track.add_watermark(watermark(1, 0, topic="others"))
    assert track.reached(positions(9, 9), ["events"]) is None
    track.add_watermark(watermark(2, 1))
    assert track.reached(positions(1), ["events"]) == Tick(1, 2)


def test_old_watermarks_say_nothing_new() -> None:
    track = SourceTrack()
    track.add_watermark(watermark(5, 1, epoch=2))
    track.add_watermark(watermark(9, 0, epoch=1))
    assert track.newest_tick == Tick(2, 5)


def test_another_timeline_ends_what_was_known() -> None:
    track = SourceTrack()
    track.add_probe(Tick(1, 4), at(10))
    track.add_watermark(watermark(5, 1))
    track.add_watermark(watermark(1, 1, epoch=2, timeline="new"))
    assert track.reached(positions(9), ["events"]) is None
    followed = {TopicPartition("events", 0): "new"}
    reached = track.reached(positions(9), ["events"], timelines=followed, since=Tick(1, 5))
    assert reached == Tick(2, 1, "new")
    assert track.proven(reached) is None


def test_an_answer_of_another_timeline_proves_nothing() -> None:
    track = SourceTrack()
    assert track.add_probe(Tick(1, 4, "old"), at(9))
    assert track.add_probe(Tick(1, 1, "new"), at(10))
    track.add_watermark(watermark(2, 0, timeline="new"))
    assert not track.add_probe(Tick(9, 9, "old"), at(11))
    assert track.proven(Tick(1, 2, "new")) == at(10)


FEED = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), min_size=1, max_size=60
)


@given(feed=FEED, kept_max=st.integers(2, 8), applied=st.integers(0, 60))
def test_thinning_loosens_bounds_and_never_tightens_them(
    feed: list[tuple[int, int, bool]], kept_max: int, applied: int
) -> None:
    whole, thinned = SourceTrack(), SourceTrack()
    tick, offset = 1, 0
    with pytest.MonkeyPatch.context() as patch:
        for step, (ticks, events, is_probe) in enumerate(feed):
            tick, offset = tick + ticks, offset + events
            for track, limit in ((whole, 10_000), (thinned, kept_max)):
                patch.setattr(source_track, "_KEPT_MAX", limit)
                if is_probe:
                    track.add_probe(Tick(1, tick), at(step))
                else:
                    track.add_watermark(watermark(tick, offset))
    assert _proven_s(thinned, applied) <= _proven_s(whole, applied)


def _proven_s(track: SourceTrack, applied: int) -> float:
    reached = track.reached(positions(applied), ["events"])
    proven = track.proven(reached) if reached is not None else None
    return proven.monotonic_s if proven is not None else -1.0
