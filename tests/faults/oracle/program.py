"""Runs the real command with doubles that fail when the oracle says so; for tests only.

    python -m tests.faults.oracle.program run --processes …

Every part runs in a process of this program. Switches make faults; safeguards that are named in the
environment are off from the beginning.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from slackwater.clock import SystemClock
from slackwater.command_line.main import main
from slackwater.database.port import Database, Session
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.sqlite import SqliteDatabase
from slackwater.event_log.port import NewRecord
from slackwater.outbox.leader import Leader
from slackwater.parts.roster import Part
from slackwater.read_models.target import DocumentTarget, SearchTarget
from slackwater.supervisor import processes
from slackwater.testing.relay_contract import LogAround
from tests.faults.oracle.poison import poison
from tests.faults.oracle.safeguards import relay_through, turn_off
from tests.faults.oracle.switches import (
    FOLDER_SETTING,
    LEASE_FREE_SETTING,
    SAFEGUARDS_OFF_SETTING,
    Switches,
)

REFRESH_HELD_MAX_S = 5.0
LOOK_S = 0.02

switches = Switches(Path(os.environ[FOLDER_SETTING]))


def start_parts_as_doubles() -> None:
    """The supervisor starts this program for each part."""

    async def start(part: Part, environment: dict[str, str]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.faults.oracle.program", *part.arguments),
            env=environment,
            stdin=asyncio.subprocess.PIPE,
        )

    processes._start = start


def die_before_marking() -> None:
    """A relay dies when the log has acknowledged a batch and it is not marked."""
    mark = Leader.mark

    async def fatal_mark(self: Leader, positions: Sequence[int]) -> None:
        if switches.take(f"die-before-mark.{self._source}"):
            os._exit(9)
        await mark(self, positions)

    Leader.mark = fatal_mark  # type: ignore[method-assign]


def publish_twice() -> None:
    """A relay publishes whole batches twice."""
    relay_through(_Doubling)


class _Doubling(LogAround):
    async def append(self, records: Sequence[NewRecord]) -> Any:
        appended = await self._log.append(records)
        if switches.is_on("publish-twice"):
            await self._log.append(records)
        return appended


def hold_refreshes() -> None:
    """No refresh of the search index begins."""
    show = SearchTarget._show

    async def held(self: SearchTarget) -> str:
        held_s = 0.0
        while switches.is_on("no-refresh") and held_s < REFRESH_HELD_MAX_S:
            await asyncio.sleep(LOOK_S)
            held_s += LOOK_S
        return await show(self)

    SearchTarget._show = held  # type: ignore[method-assign]


def step_clocks() -> None:
    """The wall clocks of parts of this kind jump by an hour."""
    now, kind = SystemClock.now, sys.argv[1]

    def stepped(self: SystemClock) -> datetime:
        ahead = switches.is_on(f"clock-forward.{kind}")
        return now(self) + timedelta(hours=ahead - switches.is_on(f"clock-back.{kind}"))

    SystemClock.now = stepped  # type: ignore[method-assign]


def tell_instants() -> None:
    """A gateway says of each bound when it was told, on the clock that all of the machine share."""
    if sys.argv[1] != "gateway":
        return
    from gateway.freshness import wire

    class Telling(wire._Answer):
        def fields(self) -> list[dict[str, Any]]:
            return [{**each, "toldS": self._now_s} for each in super().fields()]

    wire._Answer = Telling  # type: ignore[misc] - a double stands in its place


def slow_down_projectors() -> None:
    """Projectors take a while for every commit."""
    for target in (DocumentTarget, SearchTarget):
        _slow(target)


def _slow(target: Any) -> None:
    commit = target.commit

    async def slow_commit(self: Any, rows: Any, progress: Any) -> None:
        if switches.is_on("slow-projectors"):
            await asyncio.sleep(0.15)
        await commit(self, rows, progress)

    target.commit = slow_commit


def poison_projectors() -> None:
    """Projectors cannot apply one event in a hundred."""
    if sys.argv[1] == "projector":
        poison(switches)


def lead_without_lease() -> None:
    """A relay leads whatever others do: only epochs fence them off."""
    for database in (SqliteDatabase, PostgresqlDatabase):
        database.lease = _nobody_else_asked  # type: ignore[method-assign]


@asynccontextmanager
async def _nobody_else_asked(self: Database, role: str) -> AsyncIterator[Session]:
    yield self


if __name__ == "__main__":
    for double in (
        start_parts_as_doubles,
        die_before_marking,
        publish_twice,
        hold_refreshes,
        step_clocks,
        tell_instants,
        slow_down_projectors,
        poison_projectors,
    ):
        double()
    if LEASE_FREE_SETTING in os.environ:
        lead_without_lease()
    for name in filter(None, os.environ.get(SAFEGUARDS_OFF_SETTING, "").split(",")):
        turn_off(name)
    main()
