"""How much of the write-ahead log a slot keeps the server from removing, and when that is alarming.

A slot that nobody streams from keeps all log behind it, until the disk is full or the server gives
the slot up (`max_slot_wal_keep_size`). So leader and standbys look alike, also while none leads.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

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
        self._is_alarming = False

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
        metrics.SLOT_RETAINED_BYTES.labels(self._source).set(retained_bytes)
        is_alarming = retained_bytes > self._alarm_bytes
        if is_alarming != self._is_alarming:
            self._is_alarming = is_alarming
            self._tell(retained_bytes)

    def _tell(self, retained_bytes: int) -> None:
        if not self._is_alarming:
            _log.info("the slot keeps little log again", source=self._source, slot=self._slot.name)
            return
        _log.error(
            "the slot keeps much log",
            source=self._source,
            slot=self._slot.name,
            retained_mb=round(retained_bytes / 1e6),
            remedy="see that a relay of the source leads and the event log takes what it appends; "
            "beyond max_slot_wal_keep_size the server gives the slot up",
        )
