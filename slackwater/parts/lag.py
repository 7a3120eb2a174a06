"""How far every read model is behind each of its sources, and which stage keeps it there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import msgspec

from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import FreshnessStatus, Reading
from slackwater.freshness.limit import FreshnessLimit
from slackwater.installation import Installation
from slackwater.parts.board import followed_board

_FIRST_LOOK_S = 3.0


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """One read model and one source; `max_staleness_ms` and `lag_events` are null where unknown.

    `limited_by` is the stage that keeps the bound from being smaller: OUTBOX (the source's relay),
    LOG, PROJECTOR, REFRESH, HOLE or PROBE.
    """

    read_model: str
    version: int
    source: str
    status: FreshnessStatus
    max_staleness_ms: int | None
    lag_events: int | None
    limited_by: FreshnessLimit | None
    tick: str | None
    """The newest tick of the source that the read model has reached: epoch and count."""
    holes: int
    """How many keys of the source are parked."""
    reason: str | None
    """Why the read model is halted, or one of the keys parked."""


@asynccontextmanager
async def watched_lag(installation: Installation) -> AsyncIterator[Callable[[], list[Lag]]]:
    """Yield what tells all lags as they are when it is called.

    It is yielded when all are known, or after some seconds.
    """
    models = installation.manifest.gateway().read_models
    async with followed_board(installation, models) as board:
        deadline_s = installation.clock.monotonic() + _FIRST_LOOK_S
        await board.wait_for(lambda: _is_known(board), deadline_s=deadline_s)
        yield lambda: list(_lags(installation, board.snapshot().values()))


def _is_known(board: FreshnessBoard) -> bool:
    return all(
        reach.proven_elsewhere is not None
        for reading in board.snapshot().values()
        for reach in reading.reaches.values()
    )


def _lags(installation: Installation, readings: Iterable[Reading]) -> Iterable[Lag]:
    now_s = installation.clock.monotonic()
    for reading in readings:
        for source, reach in reading.reaches.items():
            yield Lag(
                read_model=reading.read_model,
                version=reading.version,
                source=source,
                status=reading.status((source,), now_s, installation.settings.lagging_after_ms),
                max_staleness_ms=reach.staleness_ms(now_s),
                lag_events=reach.lag_events,
                limited_by=reach.limited_by(now_s),
                tick=str(reach.reached) if reach.reached is not None else None,
                holes=reach.holes,
                reason=reading.halt_reason or (reach.hole.reason if reach.hole else None),
            )
