"""The board's bounds: what shrinks them is proof, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from slackwater.event_log.partitioner import partition_of
from slackwater.event_log.port import TopicPartition
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import FreshnessStatus, Instant
from slackwater.freshness.limit import FreshnessLimit
from slackwater.read_models.progress import ModelVersion, ReadModelProgress, ReadModelState
from slackwater.read_models.read_model import ReadModel
from slackwater.testing.clock import ManualClock
from slackwater.watermarks.record import Watermark
from slackwater.watermarks.tick import Tick

OLD, NEW = "old", "new"
MODEL = ReadModel(name="model", topics={"a": ("a",), "b": ("b",)})


def progress_of(
    positions: dict[TopicPartition, int],
    version: int = 1,
    state: Any = ReadModelState.RUNNING,
    timelines: dict[TopicPartition, str] | None = None,
) -> ReadModelProgress:
    """Return an entry whose partitions are of the old timeline unless `timelines` says else."""
    return ReadModelProgress(
        model=ModelVersion("model", version),
        active=True,
        state=state,
        reason=None,
        positions=positions,
        timelines=dict.fromkeys(positions, OLD) if timelines is None else timelines,
        events_applied=0,
    )


class Fed:
    """A board fed by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.board = FreshnessBoard([MODEL], self.clock)

    def probe(self, n: int, source: str = "a", epoch: int = 1, timeline: str = OLD) -> bool:
        sent = Instant(self.clock.monotonic(), self.clock.now())
        return self.board.on_probe(source, Tick(epoch, n, timeline), sent)

    def watermark(
        self, n: int, offset: int = 0, source: str = "a", epoch: int = 1, timeline: str = OLD
    ) -> None:
        watermark = Watermark(
            source=source,
            timeline=timeline,
            epoch=epoch,
            n=n,
            clock=self.clock.now(),
            offsets={source: [offset]},
        )
        self.board.on_watermarks([watermark])

    def progress(
        self,
        version: int = 1,
        state: Any = ReadModelState.RUNNING,
        timeline: str = OLD,
        **at: int,
    ) -> None:
        positions = {TopicPartition(topic, 0): offset for topic, offset in at.items()}
        timelines = dict.fromkeys(positions, timeline)
        self.board.on_progress([progress_of(positions, version, state, timelines)])

    def status(self) -> FreshnessStatus:
        return self.board.reading("model").status(("a",), self.clock.monotonic(), 1_000)

    def bound_ms(self, *sources: str) -> int | None:
        reading = self.board.reading("model")
        return reading.staleness_ms(sources or ("a",), self.clock.monotonic())


@pytest.fixture
def fed() -> Fed:
    fed = Fed()
    fed.probe(1)
    fed.watermark(2, offset=1)
    fed.progress(a=1)
    return fed


def test_nothing_is_known_at_the_start() -> None:
    assert Fed().bound_ms() is None


def test_a_bound_grows_with_the_clock_while_the_probe_pauses(fed: Fed) -> None:
    seen = []
    for n in range(3, 8):
        fed.clock.advance(ms=100)
        fed.watermark(n, offset=1)
        fed.progress(a=1)
        seen.append(fed.bound_ms())
    assert seen == [100, 200, 300, 400, 500]


def test_a_bound_does_not_shrink_without_a_later_tick(fed: Fed) -> None:
    fed.clock.advance(ms=100)
    fed.probe(2)
    fed.progress(a=1)
    assert fed.bound_ms() == 100
    fed.watermark(3, offset=1)
    assert fed.bound_ms() == 0


def test_a_bound_does_not_shrink_while_events_are_missing(fed: Fed) -> None:
    fed.clock.advance(ms=100)
    fed.probe(2)
    fed.watermark(3, offset=2)
    assert fed.bound_ms() == 100
    fed.progress(a=2)
    assert fed.bound_ms() == 0


def test_the_wall_clock_has_no_say(fed: Fed) -> None:
    fed.clock.step_wall(ms=-86_400_000)
    fed.clock.advance(ms=40)
    fed.clock.step_wall(ms=172_800_000)
    assert fed.bound_ms() == 40


def test_the_worst_source_decides(fed: Fed) -> None:
    assert fed.bound_ms("a", "b") is None
    fed.clock.advance(ms=50)
    fed.probe(1, "b")
    fed.watermark(2, source="b")
    assert (fed.bound_ms("a", "b"), fed.bound_ms("b")) == (50, 0)


def test_restored_progress_proves_anew(fed: Fed) -> None:
    fed.progress(a=0)
    assert fed.bound_ms() is None
    fed.clock.advance(ms=30)
    fed.progress(a=1)
    assert fed.bound_ms() == 30


def test_a_source_that_was_never_heard_of_is_unknown(fed: Fed) -> None:
    reading = fed.board.reading("model")
    assert reading.staleness_ms(("nobody",), fed.clock.monotonic()) is None
    assert reading.staleness_ms((), fed.clock.monotonic()) is None
    assert reading.status(("nobody",), fed.clock.monotonic(), 1_000) is FreshnessStatus.UNKNOWN


def test_ticks_lost_before_they_were_on_disk_heal_by_themselves(fed: Fed) -> None:
    fed.clock.advance(ms=10)
    assert fed.probe(9)
    fed.clock.advance(ms=10)
    assert not fed.probe(8)
    assert fed.bound_ms() == 20
    fed.watermark(10, offset=1)
    assert fed.bound_ms() == 10


def test_a_restored_source_proves_nothing_until_a_rebuild(fed: Fed) -> None:
    fed.clock.advance(ms=10)
    fed.watermark(3, offset=9, epoch=2, timeline=NEW)
    fed.probe(3, epoch=2, timeline=NEW)
    fed.watermark(4, offset=9, epoch=2, timeline=NEW)
    fed.progress(a=99)
    assert (fed.bound_ms(), fed.status()) == (None, FreshnessStatus.UNKNOWN)
    fed.progress(version=2, timeline=NEW, a=8)
    assert fed.bound_ms() is None
    fed.progress(version=2, timeline=NEW, a=9)
    assert fed.bound_ms() == 0


def test_a_gateway_that_starts_after_a_restore_is_not_taken_in_either() -> None:
    fed = Fed()
    fed.probe(200, epoch=2, timeline=NEW)
    fed.watermark(201, offset=1, epoch=2, timeline=NEW)
    fed.progress(a=5)
    assert fed.bound_ms() is None


def test_what_follows_nothing_yet_is_of_no_other_timeline(fed: Fed) -> None:
    fed.watermark(3, offset=0, epoch=2, timeline=NEW)
    fed.clock.advance(ms=10)
    fed.probe(3, epoch=2, timeline=NEW)
    fed.watermark(4, offset=0, epoch=2, timeline=NEW)
    fed.board.on_progress([progress_of({TopicPartition("a", 0): 0}, timelines={})])
    assert fed.bound_ms() == 0


def test_one_partition_of_another_timeline_is_enough_to_prove_nothing(fed: Fed) -> None:
    fed.watermark(3, offset=0, epoch=2, timeline=NEW)
    fed.probe(3, epoch=2, timeline=NEW)
    fed.watermark(4, offset=0, epoch=2, timeline=NEW)
    positions = {TopicPartition("a", 0): 9, TopicPartition("a", 1): 9}
    timelines = {TopicPartition("a", 0): NEW, TopicPartition("a", 1): OLD}
    fed.board.on_progress([progress_of(positions, timelines=timelines)])
    assert fed.bound_ms() is None


def test_a_restored_source_leaves_the_others_as_they_are(fed: Fed) -> None:
    fed.probe(1, "b")
    fed.watermark(2, source="b")
    fed.watermark(9, epoch=2, timeline=NEW)
    assert (fed.bound_ms("a"), fed.bound_ms("b")) == (None, 0)


def test_an_answer_of_another_timeline_than_the_watermarks_moves_no_bound(fed: Fed) -> None:
    fed.clock.advance(ms=10)
    assert not fed.probe(2, epoch=2, timeline=NEW)
    fed.watermark(3, offset=1)
    assert fed.bound_ms() == 10


def test_a_read_model_halted_by_a_restored_source_is_unknown(fed: Fed) -> None:
    fed.watermark(3, offset=9, epoch=2, timeline=NEW)
    fed.progress(state=ReadModelState.HALTED, a=1)
    assert fed.status() is FreshnessStatus.UNKNOWN


def test_a_halted_read_model_is_stalled_and_its_bound_grows(fed: Fed) -> None:
    fed.progress(state=ReadModelState.HALTED, a=1)
    fed.clock.advance(ms=10)
    reading = fed.board.reading("model")
    assert reading.status(("a",), fed.clock.monotonic(), 1_000) is FreshnessStatus.STALLED
    assert reading.reaches["a"].limited_by(fed.clock.monotonic()) is FreshnessLimit.HOLE
    assert fed.bound_ms() == 10


def test_a_reading_is_shared_until_something_changes(fed: Fed) -> None:
    first = fed.board.reading("model")
    assert fed.board.reading("model") is first
    fed.progress(a=1)
    assert fed.board.reading("model") is not first


def test_a_pinned_reading_ages_and_learns_nothing(fed: Fed) -> None:
    pinned = fed.board.reading("model")
    fed.clock.advance(ms=100)
    fed.probe(2)
    fed.watermark(3, offset=1)
    assert pinned.staleness_ms(("a",), fed.clock.monotonic()) == 100


async def test_waiting_ends_with_the_change_that_is_waited_for(fed: Fed) -> None:
    deadline_s = fed.clock.monotonic() + 60
    waiting = asyncio.create_task(
        fed.board.wait_for(lambda: fed.bound_ms("b") is not None, deadline_s=deadline_s)
    )
    await asyncio.sleep(0)
    fed.probe(1, "b")
    await asyncio.sleep(0)
    assert not waiting.done()
    fed.watermark(2, source="b")
    assert await waiting


async def test_waiting_ends_at_its_deadline(fed: Fed) -> None:
    assert not await fed.board.wait_for(lambda: False, deadline_s=fed.clock.monotonic())


def keyed(fed: Fed, topics: dict[str, int]) -> FreshnessBoard:
    """Return a board whose read model is keyed in these topics; source a has reached tick 2."""
    model = ReadModel(name="model", topics={"a": ("a", "a2"), "b": ("b",)}, keyed=topics)
    fed.board = FreshnessBoard([model], fed.clock)
    fed.probe(1)
    fed.probe(1, "b")
    return fed.board


def emit(fed: Fed, n: int, **offsets: list[int]) -> None:
    source = "b" if "b" in offsets else "a"
    watermark = Watermark(
        source=source,
        timeline=OLD,
        epoch=1,
        n=n,
        clock=fed.clock.now(),
        offsets=dict(offsets),
    )
    fed.board.on_watermarks([watermark])


def key_in(partition: int, partitions: int) -> str:
    return next(key for key in map(str, range(99)) if partition_of(key, partitions) == partition)


def bound_of_key(fed: Fed, key: str, *sources: str) -> int | None:
    reading = fed.board.reading_of_key("model", key)
    return reading.staleness_ms(sources or ("a",), fed.clock.monotonic())


def test_every_partition_counts_of_a_topic_that_is_keyed_otherwise(fed: Fed) -> None:
    keyed(fed, {"a": 2})
    emit(fed, 2, a=[0, 7], a2=[0, 3])
    assert bound_of_key(fed, key_in(0, 2)) is None
    fed.board.on_progress([progress_of({TopicPartition("a2", 1): 3})])
    assert bound_of_key(fed, key_in(0, 2)) == 0
    assert bound_of_key(fed, key_in(1, 2)) is None
    assert fed.bound_ms() is None


def test_a_document_of_two_sources_needs_the_key_s_partition_of_each(fed: Fed) -> None:
    keyed(fed, {"a": 2, "a2": 2, "b": 2})
    emit(fed, 2, a=[0, 7], a2=[0, 7])
    emit(fed, 2, b=[4, 7])
    assert bound_of_key(fed, key_in(0, 2), "a", "b") is None
    fed.board.on_progress([progress_of({TopicPartition("b", 0): 4})])
    assert bound_of_key(fed, key_in(0, 2), "a", "b") == 0
    assert bound_of_key(fed, key_in(1, 2), "a", "b") is None


def test_all_partitions_count_when_a_topic_has_another_number_of_them(fed: Fed) -> None:
    keyed(fed, {"a": 2, "a2": 2})
    emit(fed, 2, a=[0, 0, 7], a2=[0, 0])
    assert bound_of_key(fed, key_in(0, 2)) is None


def test_a_restored_source_proves_nothing_of_a_key_either(fed: Fed) -> None:
    keyed(fed, {"a": 2, "a2": 2})
    emit(fed, 4, a=[0, 7], a2=[0, 0])
    fed.progress(a=3)
    assert bound_of_key(fed, key_in(0, 2)) == 0
    fed.progress(timeline=NEW, a=3)
    assert bound_of_key(fed, key_in(0, 2)) is None


def test_a_restored_source_that_no_relay_has_looked_at_yet_proves_nothing(fed: Fed) -> None:
    """It commits what nobody publishes, and its tick stands below one that was claimed."""
    fed.watermark(4, offset=1)
    fed.progress(a=1)
    fed.clock.advance(ms=10)
    assert not fed.probe(2)
    assert not fed.probe(3)
    assert fed.bound_ms() == 10
    assert fed.probe(4)


def test_what_is_known_of_a_partition_is_computed_once(fed: Fed) -> None:
    board = keyed(fed, {"a": 2, "a2": 2})
    emit(fed, 2, a=[0, 7], a2=[0, 0])
    keys = [key for key in map(str, range(20)) if partition_of(key, 2) == 0]
    readings = {id(board.reading_of_key("model", key)) for key in keys}
    assert len(readings) == 1
    first = board.reading_of_key("model", keys[0])
    fed.progress(a=0)
    assert board.reading_of_key("model", keys[0]) is not first


def test_a_read_model_that_keeps_up_is_not_asked_by_key(fed: Fed) -> None:
    board = keyed(fed, {"a": 2, "a2": 2})
    emit(fed, 2, a=[0, 0], a2=[0, 0])
    assert board.reading_of_key("model", "x") is board.reading("model")


def test_a_key_whose_partition_stands_still_for_long_is_found_the_newest_tick(fed: Fed) -> None:
    keyed(fed, {"a": 2, "a2": 2})
    for n in range(2, 500):
        emit(fed, n, a=[n if n < 300 else 300, n], a2=[0, 0])
    fed.board.on_progress([progress_of({TopicPartition("a", 0): 299})])
    reading = fed.board.reading_of_key("model", key_in(0, 2))
    assert reading.reaches["a"].reached == Tick(1, 299, OLD)
    fed.board.on_progress([progress_of({TopicPartition("a", 0): 300})])
    reading = fed.board.reading_of_key("model", key_in(0, 2))
    assert reading.reaches["a"].reached == Tick(1, 499, OLD)
