"""What every progress store must do, to be inherited by the tests of each adapter.

A subclass names its `adapter` and provides a fixture `open_progress`: an async function that opens
one more handle on the same progress, which is empty when a test begins, and closes all handles when
the test ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from slackwater.errors import ConflictError, FencedError, StructuralError
from slackwater.event_log.port import Record, TopicPartition
from slackwater.read_models.dead_letters import HOLES_LISTED_MAX, DeadLetter, Hole
from slackwater.read_models.discards import Discard, Treatment
from slackwater.read_models.progress import (
    ActiveVersionError,
    Claim,
    LeftVersionError,
    ModelVersion,
    ProgressStore,
    ProgressUpdate,
    ReadModelProgress,
    ReadModelState,
)
from slackwater.testing.claims import AdapterContract, Guarantee, holds

OpenProgress = Callable[[], Awaitable[ProgressStore]]

READ_MODEL = ModelVersion("things")
NEXT = ModelVersion("things", 2)
OTHERS = ModelVersion("others", 7)
FIRST = TopicPartition("things.events", 0)
SECOND = TopicPartition("things.events", 1)

_DEADLINE_S = 10


def update(
    claim: Claim, events: int = 0, timeline: str | None = None, **positions: int
) -> ProgressUpdate:
    """Return an update of the partitions `first` and `second`."""
    partitions = {"first": FIRST, "second": SECOND}
    return ProgressUpdate(
        claim=claim,
        positions={partitions[name]: position for name, position in positions.items()},
        timelines={} if timeline is None else {partitions[name]: timeline for name in positions},
        events_applied=events,
    )


def letter(
    offset: int, key: str = "k", *, error: str | None = "Broken", at: TopicPartition = FIRST
) -> DeadLetter:
    """Return a letter that lacks document `d` and a document named like its offset."""
    record = Record(
        topic=at.topic,
        partition=at.partition,
        offset=offset,
        key=key,
        value=b"\x00\xff",
        headers={"ce.id": "$schlimm: 💥"},
    )
    return DeadLetter(
        record=record,
        documents=("d", f"d{offset}"),
        error=error,
        reason=f"{error} at {offset}" if error else None,
        parked_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def discard(offset: int, at: TopicPartition = FIRST) -> Discard:
    """Return a discard of the letter at an offset."""
    return Discard(
        record=letter(offset, at=at).record,
        treatment=Treatment.LEFT_OUT,
        version_before=3,
        error="Broken",
        reason=f"Broken at {offset}",
        by="ops",
        why="nobody needs it: 💥",
        discarded_at=datetime(2026, 1, 2, tzinfo=UTC),
    )


def discarding(claim: Claim, *discards: Discard) -> ProgressUpdate:
    """Return an update that keeps discards and moves nothing."""
    return replace(update(claim), discarded=discards)


async def holes(store: ProgressStore, at: TopicPartition) -> list[Hole]:
    """Return all holes of a partition."""
    return await store.holes(READ_MODEL, at, limit=10_000)


def parking(claim: Claim, position: int, *letters: DeadLetter) -> ProgressUpdate:
    """Return an update of the partition `first` that parks letters."""
    return replace(update(claim, first=position), parked=letters)


async def load_one(store: ProgressStore, model: ModelVersion = READ_MODEL) -> ReadModelProgress:
    """Return the progress of one version."""
    [found] = [p for p in await store.load() if p.model == model]
    return found


class ProgressStoreContract(AdapterContract):
    """Claims, fences, positions and states."""

    @pytest.fixture
    async def store(self, open_progress: OpenProgress) -> ProgressStore:
        store = await open_progress()
        await store.register(READ_MODEL)
        return store

    @pytest.fixture
    async def other(self, store: ProgressStore, open_progress: OpenProgress) -> ProgressStore:
        return await open_progress()

    @pytest.fixture
    async def claim(self, store: ProgressStore) -> Claim:
        return await store.claim(READ_MODEL, [FIRST, SECOND])

    async def test_nothing_is_known_of_an_empty_store(self, open_progress: OpenProgress) -> None:
        progress = await open_progress()
        assert await progress.load() == []
        assert await progress.active(READ_MODEL.read_model) is None

    @holds(Guarantee.FENCING)
    async def test_a_store_that_was_put_back_is_not_moved_on(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        moving = replace(update(claim, events=2, first=5, second=3), moves_from={FIRST: 1})
        with pytest.raises(FencedError, match="put back"):
            await store.save(moving)
        assert not any((await load_one(store)).positions.values())
        for first in (1, 2):  # the second one as if the reply to the first had been lost
            await store.save(replace(update(claim, first=first), moves_from={FIRST: 0}))
        for moved in (moving, replace(update(claim, first=6), moves_from={FIRST: 5})):
            await store.save(moved)
        with pytest.raises(FencedError, match="put back"):
            await store.save(replace(update(claim, first=9), moves_from={FIRST: 8}))
        assert (await load_one(store)).positions == {FIRST: 6, SECOND: 3}

    async def test_a_registered_read_model_runs_with_nothing_applied(
        self, store: ProgressStore
    ) -> None:
        assert await store.load() == [
            ReadModelProgress(
                model=READ_MODEL,
                active=True,
                state=ReadModelState.RUNNING,
                reason=None,
                positions={},
                events_applied=0,
            )
        ]

    async def test_registering_again_keeps_what_is_there(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.save(update(claim, events=3, first=5))
        before = await load_one(store)
        await store.register(READ_MODEL)
        assert await load_one(store) == before

    async def test_all_read_models_are_loaded_apart(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await store.register(OTHERS)
        others = await store.claim(OTHERS, [FIRST])
        await store.save(update(others, first=2))
        await store.save(update(claim, first=9))
        assert (await load_one(other)).positions == {FIRST: 9, SECOND: 0}
        assert (await load_one(other, OTHERS)).positions == {FIRST: 2}

    async def test_a_read_model_must_be_registered_before_it_is_claimed(
        self, store: ProgressStore
    ) -> None:
        with pytest.raises(StructuralError):
            await store.claim(ModelVersion("unheard_of"), [FIRST])

    async def test_a_read_model_must_be_registered_before_it_has_a_state(
        self, store: ProgressStore
    ) -> None:
        with pytest.raises(StructuralError):
            await store.set_state(ModelVersion("unheard_of"), ReadModelState.HALTED)

    async def test_a_state_is_kept_with_its_reason_until_the_next(
        self, store: ProgressStore, other: ProgressStore
    ) -> None:
        await store.set_state(READ_MODEL, ReadModelState.HALTED, "schlimm: 💥")
        halted = await load_one(other)
        assert (halted.state, halted.reason) == (ReadModelState.HALTED, "schlimm: 💥")
        await other.set_state(READ_MODEL, ReadModelState.RUNNING)
        running = await load_one(store)
        assert (running.state, running.reason) == (ReadModelState.RUNNING, None)

    async def test_a_claim_says_where_to_go_on(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        assert claim.positions == {FIRST: 0, SECOND: 0}
        await store.save(update(claim, first=5))
        newer = await other.claim(READ_MODEL, [FIRST, SECOND])
        assert newer.positions == {FIRST: 5, SECOND: 0}

    async def test_each_claim_raises_the_fence(self, store: ProgressStore, claim: Claim) -> None:
        newer = await store.claim(READ_MODEL, [FIRST])
        assert newer.fences == {FIRST: claim.fences[FIRST] + 1}

    async def test_claims_at_the_same_time_get_different_fences(
        self, store: ProgressStore, other: ProgressStore
    ) -> None:
        claims = await asyncio.gather(
            *(handle.claim(READ_MODEL, [FIRST]) for handle in (store, other) * 5)
        )
        assert len({claim.fences[FIRST] for claim in claims}) == len(claims)

    @holds(Guarantee.FENCING)
    async def test_an_older_claim_is_refused_after_a_newer_one(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        newer = await other.claim(READ_MODEL, [FIRST, SECOND])
        with pytest.raises(FencedError):
            await store.save(update(claim, events=1, first=5))
        assert (await load_one(store)).positions == {FIRST: 0, SECOND: 0}
        assert (await load_one(store)).events_applied == 0
        await other.save(update(newer, first=5))

    async def test_a_newer_claim_leaves_the_other_partitions_alone(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await other.claim(READ_MODEL, [FIRST])
        await store.save(update(claim, second=7))
        assert (await load_one(store)).positions == {FIRST: 0, SECOND: 7}

    @holds(Guarantee.ATOMICITY)
    async def test_one_stale_fence_refuses_the_whole_update(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await other.claim(READ_MODEL, [SECOND])
        with pytest.raises(FencedError):
            await store.save(update(claim, events=4, first=7, second=7))
        loaded = await load_one(store)
        assert (loaded.positions, loaded.events_applied) == ({FIRST: 0, SECOND: 0}, 0)

    async def test_a_claim_of_another_read_model_fences_nobody(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await other.register(OTHERS)
        await other.claim(OTHERS, [FIRST, SECOND])
        await store.save(update(claim, first=1))

    async def test_a_partition_outside_the_claim_cannot_be_saved(
        self, store: ProgressStore
    ) -> None:
        claim = await store.claim(READ_MODEL, [FIRST])
        with pytest.raises(FencedError):
            await store.save(update(claim, second=1))

    @holds(Guarantee.WATERMARKS)
    async def test_a_late_save_never_moves_progress_backwards(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.save(update(claim, first=9, second=1))
        await store.save(update(claim, first=4, second=2))
        assert (await load_one(store)).positions == {FIRST: 9, SECOND: 2}

    async def test_what_is_written_is_noted_until_progress_covers_it(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await store.note_written(update(claim, events=2, first=5))
        noted = await load_one(other)
        assert (noted.positions, noted.written) == ({FIRST: 0, SECOND: 0}, {FIRST: 5})
        assert noted.events_applied == 0
        await store.save(update(claim, first=5))
        assert (await load_one(other)).written == {}

    async def test_a_note_never_goes_back_and_lets_no_other_wait(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.note_written(update(claim, first=5, second=3))
        await store.note_written(update(claim, first=4))
        await store.save(update(claim, second=4))
        assert (await load_one(store)).written == {FIRST: 5}

    @holds(Guarantee.FENCING)
    async def test_an_older_claim_notes_nothing(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await other.claim(READ_MODEL, [FIRST])
        await store.note_written(update(claim, first=5, second=3))
        assert (await load_one(store)).written == {SECOND: 3}

    @holds(Guarantee.WATERMARKS)
    async def test_the_greatest_stamp_is_kept_whoever_saved_it(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        assert (await load_one(store)).stamp is None
        await store.save(replace(update(claim, first=1), stamp="b"))
        assert (await load_one(other)).stamp == "b"
        of_second = await other.claim(READ_MODEL, [SECOND])
        await other.save(replace(update(of_second, second=1), stamp="d"))
        await store.save(replace(update(claim, first=2), stamp="c"))
        await store.save(update(claim, first=3))
        assert (await load_one(store)).stamp == "d"
        await store.register(NEXT)
        assert (await load_one(store, NEXT)).stamp is None

    @holds(Guarantee.WATERMARKS)
    async def test_what_was_replayed_is_behind_a_stamp_once_its_hole_is_closed(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await store.save(replace(parking(claim, 6, letter(5)), stamp="a"))
        [hole] = await holes(store, FIRST)
        replayed = Claim(model=READ_MODEL, fences={}, positions={})
        await other.save(replace(update(replayed, events=1), stamp="b"))
        assert await other.close_hole(READ_MODEL, hole)
        found = await load_one(store)
        assert (found.stamp, found.holes, found.events_applied) == ("b", (), 1)

    @holds(Guarantee.FENCING)
    async def test_an_older_claim_saves_no_stamp(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await other.claim(READ_MODEL, [FIRST])
        with pytest.raises(FencedError):
            await store.save(replace(update(claim, first=1), stamp="b"))
        assert (await load_one(store)).stamp is None

    async def test_applied_events_add_up(self, store: ProgressStore, claim: Claim) -> None:
        await store.save(update(claim, events=3, first=3))
        await store.save(update(claim, events=4, second=4))
        assert (await load_one(store)).events_applied == 7

    async def test_a_further_version_is_built_beside_the_active_one(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.register(NEXT)
        built = await store.claim(NEXT, [FIRST])
        await store.save(update(built, events=2, first=3))
        await store.save(update(claim, events=1, first=5))
        being_built = await load_one(store, NEXT)
        assert (being_built.active, being_built.state) == (False, ReadModelState.REBUILDING)
        assert (being_built.positions, being_built.events_applied) == ({FIRST: 3}, 2)
        assert (await load_one(store)).active
        assert (await load_one(store)).positions == {FIRST: 5, SECOND: 0}

    async def test_a_version_is_not_activated_while_it_lacks_a_position(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.register(NEXT)
        built = await store.claim(NEXT, [FIRST, SECOND])
        await store.save(update(claim, first=5, second=1))
        await store.save(update(built, first=9))
        assert not await store.activate(NEXT)
        assert (await load_one(store)).active
        assert await store.active(NEXT.read_model) == READ_MODEL.version
        assert await store.active(OTHERS.read_model) is None
        assert (await load_one(store, NEXT)).state is ReadModelState.REBUILDING

    async def test_a_version_that_has_everything_is_activated_in_one_step(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await store.register(NEXT)
        built = await store.claim(NEXT, [FIRST, SECOND])
        await store.save(update(claim, first=5))
        await store.save(update(built, first=5))
        assert await store.activate(NEXT)
        entries = {entry.model: entry.active for entry in await other.load()}
        assert entries == {READ_MODEL: False, NEXT: True}
        assert await other.active(NEXT.read_model) == NEXT.version
        assert (await load_one(other, NEXT)).state is ReadModelState.RUNNING

    async def test_a_position_is_kept_with_the_timeline_that_it_counts_in(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        assert claim.timelines == (await load_one(store)).timelines == {}
        await store.save(update(claim, timeline="one", first=5))
        await store.save(update(claim, timeline="another", second=0))
        await store.save(update(claim, first=6))
        timelines = {FIRST: "one", SECOND: "another"}
        assert (await load_one(other)).timelines == timelines
        assert (await other.claim(READ_MODEL, [FIRST, SECOND])).timelines == timelines

    @holds(Guarantee.FENCING)
    async def test_an_older_claim_changes_no_timeline(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await store.save(update(claim, timeline="one", first=5))
        await other.claim(READ_MODEL, [FIRST, SECOND])
        with pytest.raises(FencedError):
            await store.save(update(claim, timeline="late", first=6))
        assert (await load_one(store)).timelines == {FIRST: "one"}

    async def test_positions_of_a_lost_timeline_hold_no_switch_up(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.save(update(claim, timeline="lost", first=500))
        await store.save(update(claim, timeline="same", second=7))
        await store.register(NEXT)
        built = await store.claim(NEXT, [FIRST, SECOND])
        await store.save(update(built, timeline="new", first=3))
        await store.save(update(built, timeline="same", second=6))
        assert not await store.activate(NEXT)
        await store.save(update(built, timeline="same", second=7))
        assert await store.activate(NEXT)

    async def test_a_version_that_follows_nothing_yet_is_not_activated(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.save(update(claim, timeline="lost", first=5))
        await store.register(NEXT)
        await store.claim(NEXT, [FIRST, SECOND])
        assert not await store.activate(NEXT)

    async def test_a_timeline_is_left_also_where_the_lost_one_had_no_name(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.save(update(claim, first=5))
        await store.register(NEXT)
        built = await store.claim(NEXT, [FIRST, SECOND])
        await store.save(update(built, timeline="new", first=1))
        assert await store.activate(NEXT)

    async def test_a_version_must_be_registered_before_it_is_activated(
        self, store: ProgressStore
    ) -> None:
        with pytest.raises(StructuralError):
            await store.activate(NEXT)

    async def test_a_version_that_readers_left_can_be_forgotten(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.save(update(claim, first=0))
        await store.register(NEXT)
        await store.activate(NEXT)
        await store.forget(READ_MODEL)
        assert [entry.model for entry in await store.load()] == [NEXT]
        with pytest.raises(StructuralError):
            await store.claim(READ_MODEL, [FIRST])

    async def test_the_version_that_readers_use_cannot_be_forgotten(
        self, store: ProgressStore
    ) -> None:
        with pytest.raises(ActiveVersionError):
            await store.forget(READ_MODEL)

    @holds(Guarantee.ATOMICITY)
    async def test_what_is_parked_is_a_hole_of_its_key(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        assert (await load_one(store)).holes == ()
        await store.save(parking(claim, 8, letter(5), letter(7, error=None)))
        hole = Hole(
            at=FIRST,
            key="k",
            offset=5,
            last_offset=7,
            letters=2,
            documents=("d", "d5", "d7"),
            error="Broken",
            reason="Broken at 5",
        )
        loaded = await load_one(other)
        assert (loaded.positions[FIRST], loaded.holes) == (8, (hole,))
        assert await holes(other, FIRST) == [hole]
        assert await holes(other, SECOND) == []
        assert await other.hole(READ_MODEL, FIRST, "k") == hole
        assert await other.hole(READ_MODEL, FIRST, "l") is None
        assert await other.hole(READ_MODEL, SECOND, "k") is None

    async def test_a_hole_grows_with_what_waits_behind_it(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.save(parking(claim, 6, letter(5)))
        await store.save(parking(claim, 10, letter(8, error=None), letter(9, "l")))
        holes = {hole.key: hole for hole in (await load_one(store)).holes}
        assert (holes["k"].offset, holes["k"].last_offset, holes["k"].letters) == (5, 8, 2)
        assert (holes["l"].offset, holes["l"].last_offset, holes["l"].letters) == (9, 9, 1)

    async def test_a_letter_that_is_parked_again_is_parked_once(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.save(parking(claim, 0, letter(5), letter(7, error=None)))
        before = await load_one(store)
        await store.save(parking(claim, 0, letter(5), letter(7, error=None)))
        assert await load_one(store) == before
        assert before.positions[FIRST] == 0
        await store.save(parking(claim, 9, letter(7, error=None), letter(8, error=None)))
        [hole] = (await load_one(store)).holes
        assert (hole.letters, hole.last_offset) == (3, 8)

    @holds(Guarantee.FENCING)
    async def test_an_older_claim_parks_nothing(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await other.claim(READ_MODEL, [FIRST])
        with pytest.raises(FencedError):
            await store.save(parking(claim, 6, letter(5)))
        assert (await load_one(store)).holes == ()

    async def test_nothing_waits_behind_a_key_that_is_not_parked(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        with pytest.raises(ConflictError):
            await store.save(parking(claim, 6, letter(5, error=None)))
        loaded = await load_one(store)
        assert (loaded.positions[FIRST], loaded.holes) == (0, ())

    async def test_letters_are_read_in_pages_as_they_stood_in_the_log(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        parked = [letter(5), letter(7, error=None), letter(9, error=None)]
        await store.save(parking(claim, 10, *parked, letter(6, "k/l")))
        hole, longer = await holes(other, FIRST)
        assert await other.letters(READ_MODEL, hole, limit=10) == parked
        assert await other.letters(READ_MODEL, hole, limit=1) == parked[:1]
        assert await other.letters(READ_MODEL, hole, after=5, limit=10) == parked[1:]
        assert await other.letters(READ_MODEL, longer, limit=10) == [letter(6, "k/l")]

    async def test_holes_are_read_in_pages_by_key(self, store: ProgressStore, claim: Claim) -> None:
        keys = ["k", "k/", "k/l", "K", "ä", "💥"]
        parked = [letter(offset, key) for offset, key in enumerate(keys)]
        await store.save(parking(claim, 10, *parked))
        found: list[str] = []
        while page := await store.holes(
            READ_MODEL, FIRST, after=found[-1] if found else "", limit=2
        ):
            found += [hole.key or "" for hole in page]
        assert (len(found), set(found)) == (len(keys), set(keys))

    async def test_what_was_discarded_is_kept_with_who_and_why(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        decided = [discard(9), discard(10), discard(2, at=SECOND)]
        await store.save(discarding(claim, *decided[1:]))
        await store.save(discarding(claim, decided[0]))
        assert await other.discards(READ_MODEL.read_model, limit=10) == decided
        assert await other.discards(READ_MODEL.read_model, limit=2) == decided[:2]
        assert (
            await other.discards(READ_MODEL.read_model, after=decided[0], limit=1) == decided[1:2]
        )
        assert await other.discards(READ_MODEL.read_model, after=decided[2], limit=1) == []
        assert await other.discards(OTHERS.read_model, limit=10) == []

    async def test_of_an_event_the_last_decision_counts(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.save(discarding(claim, discard(9)))
        last = replace(discard(9), treatment=Treatment.GAP_ACCEPTED, by="somebody else")
        await store.save(replace(discarding(claim, last), positions={FIRST: 3}))
        assert await store.discards(READ_MODEL.read_model, limit=10) == [last]
        assert (await load_one(store)).positions[FIRST] == 3

    async def test_what_was_discarded_outlives_the_version(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.register(NEXT)
        built = await store.claim(NEXT, [FIRST])
        await store.save(discarding(built, discard(9)))
        await store.forget(NEXT)
        assert await store.discards(READ_MODEL.read_model, limit=10) == [discard(9)]

    async def test_a_version_begun_before_a_discard_is_outdated(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await store.register(NEXT)
        await other.save(discarding(claim, discard(9)))
        assert {each.model: each.is_outdated for each in await store.load()} == {
            READ_MODEL: False,
            NEXT: True,
        }
        assert not await store.activate(NEXT)
        after = NEXT._replace(version=NEXT.version + 1)
        await store.register(after)
        assert await store.activate(after)

    async def test_of_a_version_that_readers_have_left_nothing_is_discarded(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.register(NEXT)
        assert await store.activate(NEXT)
        with pytest.raises(LeftVersionError, match=r"version 1 of .* meanwhile"):
            await store.save(discarding(claim, discard(9)))
        assert await store.discards(READ_MODEL.read_model, limit=10) == []

    async def test_a_closed_hole_is_gone_with_its_letters_and_no_other(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await store.save(parking(claim, 7, letter(5), letter(6, "l")))
        [hole, left] = await holes(store, FIRST)
        assert await other.close_hole(READ_MODEL, hole)
        assert not await other.close_hole(READ_MODEL, hole)
        assert (await load_one(store)).holes == (left,)
        assert await store.letters(READ_MODEL, hole, limit=10) == []
        assert await other.close_hole(READ_MODEL, left)
        assert (await load_one(store)).holes == ()
        await store.save(parking(claim, 9, letter(8)))
        assert [each.offset for each in (await load_one(store)).holes] == [8]

    async def test_a_hole_that_has_grown_is_not_closed(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await store.save(parking(claim, 6, letter(5)))
        [hole] = await holes(other, FIRST)
        await store.save(parking(claim, 7, letter(6, error=None)))
        assert not await other.close_hole(READ_MODEL, hole)
        [grown] = (await load_one(store)).holes
        assert len(await store.letters(READ_MODEL, grown, limit=10)) == 2

    async def test_what_concerns_very_many_documents_concerns_any(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        waiting = [letter(offset, error=None) for offset in range(6, 200)]
        await store.save(parking(claim, 200, letter(5), *waiting))
        [hole] = (await load_one(store)).holes
        assert (hole.letters, hole.documents) == (195, None)

    async def test_of_very_many_holes_the_last_are_told_of_together(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        keys = HOLES_LISTED_MAX + 5
        letters = [letter(offset, f"k{offset:06}") for offset in range(3, keys + 3)]
        for first in range(0, keys, 500):
            batch = letters[first : first + 500]
            await store.save(parking(claim, batch[-1].record.offset + 1, *batch))
        *listed, rest = (await load_one(store)).holes
        assert len(listed) == HOLES_LISTED_MAX
        assert (rest.at, rest.key, rest.keys, rest.offset) == (FIRST, None, 5, 3)
        assert len(await holes(store, FIRST)) == keys
        assert await store.close_hole(READ_MODEL, listed[0])
        *_, rest = (await load_one(store)).holes
        assert (rest.key, rest.keys, rest.offset) == (None, 4, 4)

    async def test_each_version_parks_by_itself_and_is_forgotten_with_it(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.register(NEXT)
        built = await store.claim(NEXT, [FIRST])
        await store.save(parking(built, 6, letter(5)))
        assert (await load_one(store)).holes == ()
        assert len((await load_one(store, NEXT)).holes) == 1
        await store.forget(NEXT)
        await store.register(NEXT)
        await store.claim(NEXT, [FIRST])
        assert (await load_one(store, NEXT)).holes == ()
        assert await store.holes(NEXT, FIRST, limit=10) == []

    @pytest.mark.parametrize(
        ("before", "after"), [(None, 5), (6, 5)], ids=["it was not parked", "it was parked later"]
    )
    async def test_a_version_is_not_activated_that_has_less_of_a_key(
        self, store: ProgressStore, claim: Claim, before: int | None, after: int
    ) -> None:
        parked = [letter(before)] if before is not None else []
        await store.save(parking(claim, 7, *parked))
        await store.register(NEXT)
        built = await store.claim(NEXT, [FIRST, SECOND])
        await store.save(parking(built, 7, letter(after)))
        assert not await store.activate(NEXT)
        assert (await load_one(store)).active

    @pytest.mark.parametrize("after", [(), (5,), (6,)])
    async def test_a_version_is_activated_that_has_as_much_of_each_key(
        self, store: ProgressStore, claim: Claim, after: tuple[int, ...]
    ) -> None:
        await store.save(parking(claim, 7, letter(5)))
        await store.register(NEXT)
        built = await store.claim(NEXT, [FIRST, SECOND])
        await store.save(parking(built, 7, *(letter(offset) for offset in after)))
        assert await store.activate(NEXT)

    async def test_holes_in_a_new_timeline_hold_no_switch_up(
        self, store: ProgressStore, claim: Claim
    ) -> None:
        await store.save(update(claim, timeline="lost", first=5))
        await store.register(NEXT)
        built = await store.claim(NEXT, [FIRST, SECOND])
        await store.save(replace(parking(built, 3, letter(2)), timelines={FIRST: "new"}))
        assert await store.activate(NEXT)

    @pytest.mark.parametrize("change", ["save", "note_written", "set_state", "register"])
    async def test_a_change_wakes_whoever_waits_on_another_handle(
        self, store: ProgressStore, other: ProgressStore, claim: Claim, change: str
    ) -> None:
        await other.wait_for_change(timeout_ms=1)
        waiting = asyncio.ensure_future(other.wait_for_change(timeout_ms=_DEADLINE_S * 2000))
        changes: dict[str, Callable[[], Awaitable[None]]] = {
            "save": lambda: store.save(update(claim, first=1)),
            "note_written": lambda: store.note_written(update(claim, first=1)),
            "set_state": lambda: store.set_state(READ_MODEL, ReadModelState.REBUILDING),
            "register": lambda: store.register(OTHERS),
        }
        await changes[change]()
        await asyncio.wait_for(waiting, _DEADLINE_S)

    async def test_a_change_between_two_waits_is_not_missed(
        self, store: ProgressStore, other: ProgressStore, claim: Claim
    ) -> None:
        await other.wait_for_change(timeout_ms=1)
        await store.save(update(claim, first=1))
        async with asyncio.timeout(_DEADLINE_S):
            await other.wait_for_change(timeout_ms=_DEADLINE_S * 2000)
        assert (await load_one(other)).positions[FIRST] == 1

    async def test_waiting_ends_when_the_time_is_up(self, store: ProgressStore) -> None:
        async with asyncio.timeout(_DEADLINE_S):
            for _ in range(3):
                await store.wait_for_change(timeout_ms=10)
