"""Bounds with holes: what is parked keeps its place, of its key and of whatever could show it."""

from __future__ import annotations

import pytest

from slackwater.event_log.partitioner import partition_of
from slackwater.event_log.port import TopicPartition
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import FreshnessStatus, Instant, Reading
from slackwater.freshness.limit import FreshnessLimit
from slackwater.read_models.dead_letters import Hole
from slackwater.read_models.progress import ModelVersion, ReadModelProgress, ReadModelState
from slackwater.read_models.read_model import ReadModel
from slackwater.testing.clock import ManualClock
from slackwater.watermarks.record import Watermark
from slackwater.watermarks.tick import Tick

KEYED = ReadModel(name="keyed", topics={"s": ("t",), "other": ("u",)}, keyed={"t": 2})
LOOSE = ReadModel(name="loose", topics={"s": ("t",)})
KEY, SAME, ELSEWHERE = "k3", "k4", "k0"
"""Two keys of one partition, and one of the other."""


def hole(offset: int, key: str | None = "k3", documents: tuple[str, ...] | None = ()) -> Hole:
    return Hole(
        at=TopicPartition("t", partition_of(key or KEY, 2)),
        key=key,
        offset=offset,
        last_offset=offset,
        letters=1,
        documents=documents,
        error="Broken",
        reason="it is broken",
    )


class Tide:
    """One source that ticks every 100 ms and is followed at once, but for what is parked."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.board = FreshnessBoard([KEYED, LOOSE], self.clock)
        self.n = 0
        self.offset = 0

    def flow(self, *holes: Hole) -> None:
        """Let an event be published in each partition, claimed, and passed."""
        self.clock.advance(ms=100)
        self.n, self.offset = self.n + 1, self.offset + 1
        for source, topic in (("s", "t"), ("other", "u")):
            sent = Instant(self.clock.monotonic(), self.clock.now())
            self.board.on_probe(source, Tick(1, self.n), sent)
            self.board.on_watermarks(
                [
                    Watermark(
                        source=source,
                        epoch=1,
                        n=self.n + 1,
                        clock=self.clock.now(),
                        offsets={topic: [self.offset, self.offset]},
                    )
                ]
            )
        self.pass_with(*holes)

    def pass_with(self, *holes: Hole, version: int = 1) -> None:
        """Let progress tell of these holes."""
        at = [TopicPartition(topic, partition) for topic in "tu" for partition in (0, 1)]
        self.board.on_progress(
            [
                ReadModelProgress(
                    model=ModelVersion(model.name, version),
                    active=True,
                    state=ReadModelState.RUNNING,
                    reason=None,
                    positions=dict.fromkeys(at, self.offset),
                    events_applied=0,
                    holes=holes,
                )
                for model in (KEYED, LOOSE)
            ]
        )

    def bounds(self, reading: Reading, *sources: str) -> tuple[int | None, int | None]:
        """Return the bound with and without holes."""
        now_s = self.clock.monotonic()
        known = sources or ("s",)
        return (
            reading.staleness_ms(known, now_s),
            reading.staleness_ms(known, now_s, except_holes=True),
        )

    def status(self, reading: Reading, *sources: str) -> FreshnessStatus:
        return reading.status(sources or ("s",), self.clock.monotonic(), 1_000)


@pytest.fixture
def tide() -> Tide:
    tide = Tide()
    tide.flow()
    return tide


def test_the_keys_are_as_they_are_called() -> None:
    assert partition_of(KEY, 2) == partition_of(SAME, 2) != partition_of(ELSEWHERE, 2)


def test_a_list_keeps_both_bounds(tide: Tide) -> None:
    tide.flow(hole(1))
    tide.flow(hole(1))
    reading = tide.board.reading("keyed")
    assert tide.bounds(reading) == (200, 0)
    assert (reading.holes(("s",)), tide.status(reading)) == (1, FreshnessStatus.STALLED)
    limit = reading.reaches["s"].limited_by(tide.clock.monotonic())
    assert limit is FreshnessLimit.HOLE


def test_the_bound_of_a_parked_key_grows_and_those_of_others_do_not(tide: Tide) -> None:
    for _ in range(3):
        tide.flow(hole(1))
    parked = tide.board.reading_of_key("keyed", KEY)
    assert tide.bounds(parked) == (300, 0)
    assert (tide.status(parked), parked.holes(("s",))) == (FreshnessStatus.STALLED, 1)
    for other in (SAME, ELSEWHERE):
        reading = tide.board.reading_of_key("keyed", other)
        assert tide.bounds(reading) == (0, 0)
        assert (tide.status(reading), reading.holes(("s",))) == (FreshnessStatus.LIVE, 0)


def test_what_one_version_has_is_no_proof_of_what_another_has_parked(tide: Tide) -> None:
    tide.flow(hole(1))
    tide.pass_with()  # what was parked has been applied, in the version that is active
    assert tide.bounds(tide.board.reading("keyed")) == (0, 0)
    tide.pass_with(hole(1), version=2)
    assert tide.bounds(tide.board.reading("keyed")) == (100, 0)


def test_a_hole_of_one_source_is_none_of_another(tide: Tide) -> None:
    tide.flow(hole(1))
    reading = tide.board.reading("keyed")
    assert tide.bounds(reading, "other") == (0, 0)
    assert tide.status(reading, "other") is FreshnessStatus.LIVE
    assert tide.status(reading, "s", "other") is FreshnessStatus.STALLED


def test_a_parked_key_reaches_no_tick_of_after_its_hole(tide: Tide) -> None:
    reached = tide.board.reading_of_key("keyed", KEY).reaches["s"].reached
    tide.flow(hole(1))
    tide.flow(hole(1))
    for reading in (tide.board.reading("keyed"), tide.board.reading_of_key("keyed", KEY)):
        assert reading.reaches["s"].reached == reached
    assert tide.board.reading_of_key("keyed", SAME).reaches["s"].reached == Tick(1, 4)


def test_a_hole_concerns_the_documents_that_it_names(tide: Tide) -> None:
    tide.flow(hole(1, documents=("order 1",)))
    assert tide.status(tide.board.reading_of_key("loose", "order 1")) is FreshnessStatus.STALLED
    assert tide.status(tide.board.reading_of_key("loose", "order 2")) is FreshnessStatus.LIVE


@pytest.mark.parametrize("asked_first", ["order 1", KEY])
def test_a_document_and_a_list_that_share_a_hole_are_told_apart(
    tide: Tide, asked_first: str
) -> None:
    tide.flow(hole(1, documents=("order 1",)))
    tide.board.reading_of_key("loose", asked_first)
    assert tide.board.reading_of_key("loose", "order 1").of_document
    assert not tide.board.reading_of_key("loose", KEY).of_document


def test_a_hole_that_cannot_be_read_concerns_every_document_that_it_could(tide: Tide) -> None:
    tide.flow(hole(1, documents=None))
    assert tide.status(tide.board.reading_of_key("loose", "anything")) is FreshnessStatus.STALLED
    assert tide.status(tide.board.reading_of_key("keyed", SAME)) is FreshnessStatus.LIVE
    assert tide.status(tide.board.reading_of_key("keyed", KEY)) is FreshnessStatus.STALLED


def test_holes_that_are_told_of_together_concern_every_document(tide: Tide) -> None:
    tide.flow(hole(1, key=None, documents=None))
    assert tide.status(tide.board.reading_of_key("keyed", SAME)) is FreshnessStatus.STALLED


def test_the_first_of_several_holes_decides(tide: Tide) -> None:
    tide.flow(hole(1))
    tide.flow(hole(1), hole(2, ELSEWHERE))
    assert tide.bounds(tide.board.reading("keyed")) == (200, 0)
    assert tide.bounds(tide.board.reading_of_key("keyed", ELSEWHERE)) == (100, 0)
    tide.pass_with(hole(2, ELSEWHERE))
    assert tide.bounds(tide.board.reading("keyed")) == (100, 0)
    assert tide.bounds(tide.board.reading_of_key("keyed", KEY)) == (0, 0)


def test_a_hole_that_was_closed_leaves_nothing_behind(tide: Tide) -> None:
    tide.flow(hole(1))
    tide.flow()
    reading = tide.board.reading("keyed")
    assert (tide.bounds(reading), tide.status(reading)) == ((0, 0), FreshnessStatus.LIVE)


def test_who_starts_with_a_hole_knows_no_bound_of_it() -> None:
    tide = Tide()
    tide.offset = 5
    tide.flow(hole(1))
    tide.flow(hole(1))
    reading = tide.board.reading("keyed")
    assert tide.bounds(reading) == (None, 0)
    assert tide.status(reading) is FreshnessStatus.STALLED
    assert tide.board.reading_of_key("keyed", KEY).reaches["s"].reached is None
    assert tide.status(tide.board.reading_of_key("keyed", SAME)) is FreshnessStatus.LIVE


def test_an_event_that_was_parked_is_missing_from_the_lag(tide: Tide) -> None:
    tide.flow(hole(1))
    assert tide.board.reading("keyed").lag_events(("s",)) == 1
