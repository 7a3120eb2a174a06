"""How much of the write-ahead log a slot keeps the server from removing, and when that is alarming.

A slot that nobody streams from keeps all log behind it, until the disk is full or the server gives
the slot up (`max_slot_wal_keep_size`). So leader and standbys look alike, also while none leads.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import Enum

from slackwater import metrics
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.postgresql_transaction import driver_of
from slackwater.errors import TransientError
from slackwater.logs import logger
from slackwater.mining.slot import Slot

_LOOK_INTERVAL_S = 5.0
_log = logger("miner")


class Retention:
    """Watches one slot."""

    def __init__(
        self, source: str, database: PostgresqlDatabase, slot: Slot, *, alarm_bytes: int
    ) -> None:
        self._source = source
        self._database = database
        self._slot = slot
        self._alarm_bytes = alarm_bytes
        self._state = _State.LITTLE

    async def watch(self) -> None:
        """Look every some seconds, until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(_LOOK_INTERVAL_S)
        finally:
            with suppress(KeyError):  # nothing was seen yet
                metrics.SLOT_RETAINED_BYTES.remove(self._source)

    async def look(self) -> None:
        """Show what is held back now, and say when it begins to be too much, and is no more."""
        try:
            retained_bytes = await self._database.read(
                lambda connection: self._slot.retained_bytes(driver_of(connection))
            )
        except TransientError:
            return  # whoever leads says so
        metrics.SLOT_RETAINED_BYTES.labels(self._source).set(retained_bytes or 0)
        state = self._judge(retained_bytes)
        if state is not self._state:
            self._state = state
            self._tell(retained_bytes or 0)

    def _judge(self, retained_bytes: int | None) -> _State:
        if retained_bytes is None:
            return _State.GIVEN_UP
        return _State.MUCH if retained_bytes > self._alarm_bytes else _State.LITTLE

    def _tell(self, retained_bytes: int) -> None:
        tell = _log.info if self._state is _State.LITTLE else _log.error
        tell(
            self._state.value,
            source=self._source,
            slot=self._slot.name,
            retained_mb=round(retained_bytes / 1e6),
            **_REMEDIES.get(self._state, {}),
        )


class _State(Enum):
    LITTLE = "the slot keeps little log again"
    MUCH = "the slot keeps much log"
    GIVEN_UP = "the server has given up the slot"


_REMEDIES = {
    _State.MUCH: {
        "remedy": "see that a relay of the source leads and the event log takes what it appends; "
        "beyond max_slot_wal_keep_size the server gives the slot up"
    },
    _State.GIVEN_UP: {
        "remedy": "raise max_slot_wal_keep_size, and see that a relay of the source leads, which "
        "says what became of its events"
    },
}
