"""What a probe reads of a source: its tick and how much waits, in one statement.

Every gateway probes every source ten times a second, also while a million events wait: those are
counted up to a limit.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, select, true

from slackwater.database.history import ServerHistory
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.unpublished import counting
from slackwater.watermarks.tick import Tick

WAITING_MAX = 10_000
"""So many are counted at most."""


class Probed(NamedTuple):
    """The tick, (0, 0) before any relay has started, and how many events wait.

    `history` is that of the server that has said so.
    """

    tick: Tick
    waiting: int
    history: str


def read_probed(connection: Connection, tables: KernelTables) -> Probed:
    """Return what a probe reads."""
    row = connection.execute(_select(tables), {"most": WAITING_MAX}).one()
    tick = Tick(row.epoch, row.n, row.timeline) if row.epoch is not None else Tick(0, 0)
    return Probed(tick, row.waiting, row.history)


@cache
def _select(tables: KernelTables) -> Select[Any]:
    tick, waiting = tables.tick, counting(tables.events).subquery()
    history = ServerHistory().label("history")
    probed = select(waiting.c.waiting, tick.c.epoch, tick.c.n, tick.c.timeline, history)
    return probed.select_from(waiting.outerjoin(tick, true()))
