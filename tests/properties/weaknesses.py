"""Ways to build it wrongly, one at a time, by patching what is shipped."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import pytest
from msgspec.structs import replace

from slackwater.event_log.port import TopicPartition
from slackwater.freshness.board import FreshnessBoard, _Model
from slackwater.freshness.bound import Instant
from slackwater.freshness.source_track import SourceTrack
from slackwater.outbox import leader as leader_module
from slackwater.outbox.leader import Leader
from slackwater.outbox.log_side import LogSide
from slackwater.outbox.ticks import current_tick, raise_tick
from slackwater.parts import replay as replay_module
from slackwater.read_models import fold as fold_module
from slackwater.read_models import projector as projector_module
from slackwater.read_models import sqlite_dead_letters
from slackwater.read_models import sqlite_progress as sqlite_progress_module
from slackwater.read_models.discards import Discards
from slackwater.read_models.paging import all_discards
from slackwater.read_models.parking import Parking
from slackwater.read_models.progress import Claim, ProgressUpdate, ReadModelProgress
from slackwater.read_models.projector import Projector
from slackwater.read_models.showing import Showing
from slackwater.read_models.target import DocumentTarget, SearchTarget
from slackwater.testing.relay_contract import LogAround
from slackwater.watermarks.tick import Tick


class Weakness(NamedTuple):
    """What is built wrongly, the themes of the steps that find it, and some of these that do.

    The steps were found and shortened by `python -m tests.properties.search`; where chance finds
    none in reasonable time (fences, discards before holes), they were thought out.
    """

    weaken: Callable[[pytest.MonkeyPatch], None]
    themes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.weaken.__name__


def watermark_before_data(patch: pytest.MonkeyPatch) -> None:
    async def step(leader: Leader) -> int:
        await leader.log_side.claim(await leader.raise_tick())
        return await leader.publish_all()

    patch.setattr(Leader, "step", step)


def tick_after_the_snapshot(patch: pytest.MonkeyPatch) -> None:
    async def step(leader: Leader) -> int:
        published = await leader.publish_all()
        await leader.log_side.claim(await leader.raise_tick())
        return published

    patch.setattr(Leader, "step", step)


def nobody_is_fenced_and_no_end_is_read_anew(patch: pytest.MonkeyPatch) -> None:
    claim = LogSide.claim

    async def claim_blindly(log_side: LogSide, tick: Tick) -> None:
        log = log_side._event_log
        log_side._event_log = _NoEnds(log)
        try:
            await claim(log_side, tick)
        finally:
            log_side._event_log = log

    def raised(connection: Any, table: Any, _: int, acknowledged: Any) -> Tick:
        held = current_tick(connection, table)
        return raise_tick(connection, table, held.epoch, acknowledged)

    patch.setattr(LogSide, "claim", claim_blindly)
    patch.setattr(leader_module, "raise_tick", raised)
    patch.setattr(leader_module, "require_epoch", lambda *_: None)
    patch.setattr(leader_module, "hold_epoch", lambda *_: None)


def equal_tick_is_enough(patch: pytest.MonkeyPatch) -> None:
    def proven(track: SourceTrack, reached: Tick) -> Instant | None:
        at = bisect_right(track._probed_ticks, reached)
        return track._probed_at[at - 1] if at else None

    patch.setattr(SourceTrack, "proven", proven)


def instant_of_the_answer(patch: pytest.MonkeyPatch) -> None:
    on_probe = FreshnessBoard.on_probe

    def late(board: FreshnessBoard, source: str, tick: Tick, _: Instant, *rest: int) -> Any:
        now = Instant(board._clock.monotonic(), board._clock.now())
        return on_probe(board, source, tick, now, *rest)

    patch.setattr(FreshnessBoard, "on_probe", late)


def progress_before_rows(patch: pytest.MonkeyPatch) -> None:
    async def commit(target: DocumentTarget, rows: Sequence[Any], update: ProgressUpdate) -> None:
        await target._documents.progress.save(update)
        await target._documents.commit(
            [replace(row, collection=target.model.stored_name(row.collection)) for row in rows],
            replace(update, positions={}, parked=(), discarded=(), events_applied=0),
        )

    patch.setattr(DocumentTarget, "commit", commit)


def progress_moves_on_from_anywhere(patch: pytest.MonkeyPatch) -> None:
    update = Projector._update

    def unaware(projector: Projector, *given: Any, **named: Any) -> ProgressUpdate:
        return replace(update(projector, *given, **named), moves_from={})

    patch.setattr(Projector, "_update", unaware)


def progress_is_saved_before_its_rows_are_shown(patch: pytest.MonkeyPatch) -> None:
    async def save_and_show(showing: Showing) -> None:
        update, showing._pending = showing._pending, None
        await showing._progress.save(cast("ProgressUpdate", update))
        await showing._show()

    patch.setattr(Showing, "_show_and_save", save_and_show)


def what_is_written_during_a_refresh_counts_as_shown(patch: pytest.MonkeyPatch) -> None:
    async def show_and_save(showing: Showing) -> None:
        await showing._show()
        update, showing._pending = showing._pending, None
        await showing._progress.save(cast("ProgressUpdate", update))

    patch.setattr(Showing, "_show_and_save", show_and_save)


def rows_that_are_only_read_are_not_shown(patch: pytest.MonkeyPatch) -> None:
    load = SearchTarget.load

    async def load_untouched(target: SearchTarget, *given: Any) -> Any:
        was_touched = target._was_touched
        rows = await load(target, *given)
        target._was_touched = was_touched
        return rows

    patch.setattr(SearchTarget, "load", load_untouched)


def holes_are_not_told(patch: pytest.MonkeyPatch) -> None:
    follow = _Model.follow

    def without(model: _Model, progress: ReadModelProgress) -> None:
        follow(model, replace(progress, holes=()))

    patch.setattr(_Model, "follow", without)


def nothing_waits_behind_a_parked_event(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Parking, "_holds", lambda *_: False)
    patch.setattr(fold_module, "_is_next", lambda version, event, _: event.version > version)


def duplicates_are_applied(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fold_module, "_is_next", lambda _version, _event, _discards: True)


def hole_is_closed_before_its_rows(patch: pytest.MonkeyPatch) -> None:
    async def early(replaying: Any, _: Any) -> None:
        model, hole = replaying._target.model, replaying._hole
        page = await replaying._progress.letters(model, hole, limit=1_000)
        await replaying._progress.close_hole(model, hole)
        await replaying._apply_page(page)

    patch.setattr(replay_module._Replay, "_apply", early)


def hole_is_closed_whatever_was_parked_meanwhile(patch: pytest.MonkeyPatch) -> None:
    close = sqlite_dead_letters.close

    def careless(connection: Any, model: Any, hole: Any) -> bool:
        found = sqlite_dead_letters.hole_of(connection, model, hole.at, hole.key)
        return found is not None and close(connection, model, found)

    patch.setattr(sqlite_dead_letters, "close", careless)


def discards_are_loaded_before_holes(patch: pytest.MonkeyPatch) -> None:
    async def parking_of(projector: Projector, claim: Claim) -> Parking:
        if projector._parking is None:
            name = claim.model.read_model
            projector._discards = await all_discards(projector._progress, name)
            projector._parking = await projector._loaded_parking(claim)
        return projector._parking

    patch.setattr(Projector, "_parking_of", parking_of)


def all_of_a_hole_is_discarded(patch: pytest.MonkeyPatch) -> None:
    make_good = replay_module._Replay._make_good

    async def carelessly(replaying: Any, letter: Any, error: Any) -> None:
        await make_good(replaying, letter, error)
        async for page in replaying._pages(letter.record.offset):
            for later in page:
                await replaying._discard(later, error)

    patch.setattr(replay_module._Replay, "_make_good", carelessly)


def nobody_knows_what_was_discarded(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any) -> Discards:
        return Discards()

    patch.setattr(projector_module, "all_discards", nothing)


def outdated_versions_are_switched_to(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sqlite_progress_module, "_OUTDATE", "SELECT ?, ?")


WEAKNESSES = (
    Weakness(
        watermark_before_data,
        themes=(),
        steps=(
            "commit c0",
            "commit c5",
            "commit c0",
            "commit c1",
            "commit c5",
            "commit c5",
            "commit c1",
            "relay works",
            "gateway looks around",
            "read c5",
        ),
    ),
    Weakness(
        tick_after_the_snapshot,
        themes=("relays",),
        steps=(
            "c0 goes the whole way",
            "commit c5",
            "relay works",
            "commit c1",
            "relay works",
            "gateway looks around",
            "read c1",
        ),
    ),
    Weakness(
        nobody_is_fenced_and_no_end_is_read_anew,
        themes=("relays",),
        steps=(
            "relay works",
            "commit c0",
            "relay steps",
            "relay steps",
            "relay steps",
            "relay takes over",
            "late relay steps",
            "late relay steps",
            "relay works",
            "gateway looks around",
            "read all",
        ),
    ),
    Weakness(
        equal_tick_is_enough,
        themes=(),
        steps=(
            "relay works",
            "commit c5",
            "time",
            "gateway looks around",
            "read c5",
        ),
    ),
    Weakness(
        instant_of_the_answer,
        themes=("relays", "gateway"),
        steps=(
            "c0 goes the whole way",
            "ask",
            "answer",
            "c0 goes the whole way",
            "commit c5",
            "time",
            "gateway looks around",
            "read c5",
        ),
    ),
    Weakness(
        progress_before_rows,
        themes=("projectors",),
        steps=(
            "relay works",
            "projector works",
            "commit c5",
            "commit c5",
            "projector dies",
            "commit c1",
            "commit c0",
            "relay works",
            "projector works",
        ),
    ),
    Weakness(
        holes_are_not_told,
        themes=("poison",),
        steps=(
            "commit broken",
            "relay works",
            "projector works",
            "gateway looks around",
            "read c0",
        ),
    ),
    Weakness(
        nothing_waits_behind_a_parked_event,
        themes=("poison",),
        steps=(
            "commit broken",
            "commit c0",
            "relay works",
            "projector works",
        ),
    ),
    Weakness(
        duplicates_are_applied,
        themes=("relays",),
        steps=(
            "relay works",
            "relay works",
            "commit c1",
            "relay steps",
            "relay steps",
        ),
    ),
    Weakness(
        hole_is_closed_before_its_rows,
        themes=("poison",),
        steps=(
            "c0 goes the whole way",
            "commit broken",
            "commit broken",
            "c0 goes the whole way",
            "discard works",
        ),
    ),
    Weakness(
        discards_are_loaded_before_holes,
        themes=("poison", "projectors"),
        steps=(
            "commit broken",
            "relay works",
            "projector works",
            "commit c1",
            "relay works",
            "projector dies",
            "projector steps",
            "projector steps",
            "projector steps",
            "projector steps",
            "discard works",
            "c0 goes the whole way",
            "gateway looks around",
        ),
    ),
    Weakness(
        all_of_a_hole_is_discarded,
        themes=("poison",),
        steps=(
            "commit broken",
            "c0 goes the whole way",
            "discard works",
        ),
    ),
    Weakness(
        nobody_knows_what_was_discarded,
        themes=("poison", "rebuild"),
        steps=(
            "commit broken",
            "c0 goes the whole way",
            "discard works",
            "c0 goes the whole way",
            "gateway looks around",
        ),
    ),
    Weakness(
        outdated_versions_are_switched_to,
        themes=("poison", "rebuild"),
        steps=(
            "c0 goes the whole way",
            "builder works",
            "c0 goes the whole way",
            "commit broken",
            "c0 goes the whole way",
            "discard works",
            "mend",
            "builder works",
            "switch",
        ),
    ),
    Weakness(
        hole_is_closed_whatever_was_parked_meanwhile,
        themes=("poison",),
        steps=(
            "c0 goes the whole way",
            "commit broken",
            "commit broken",
            "c0 goes the whole way",
            "discard works",
            "commit c0",
            "relay works",
            "projector works",
            "discard works",
        ),
    ),
    Weakness(
        progress_is_saved_before_its_rows_are_shown,
        themes=("search",),
        steps=(
            "commit c0",
            "relay works",
            "projector works",
            "projector shows a little",
        ),
    ),
    Weakness(
        what_is_written_during_a_refresh_counts_as_shown,
        themes=("search",),
        steps=(
            "commit c1",
            "relay works",
            "projector works",
            "projector shows a little",
            "c0 goes the whole way",
        ),
    ),
    Weakness(
        rows_that_are_only_read_are_not_shown,
        themes=("search",),
        steps=(
            "commit c1",
            "builder shows a little",
            "relay works",
            "projector works",
            "projector dies",
            "projector works",
        ),
    ),
    Weakness(
        progress_moves_on_from_anywhere,
        themes=("backup",),
        steps=(
            "projector works",
            "back up",
            "c0 goes the whole way",
            "put back",
            "c0 goes the whole way",
        ),
    ),
)


class _NoEnds(LogAround):
    """Tells nothing of what others have appended."""

    async def end_offsets(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        return dict.fromkeys(await super().end_offsets(topics), 0)
