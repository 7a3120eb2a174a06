"""The ways of publishing that are compared; whoever adds another one adds it here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.contender import Contender
from benchmarks.debezium_engine import DEFAULTS, TUNED, Debezium
from slackwater.mining.miner import Miner, slot_of
from slackwater.outbox.publishing import Publishing
from slackwater.outbox.relay import Relay


class Ours(Contender):
    """A relay of this project, in a process of its own."""

    def __init__(self, name: str, run: str, url: str, kafka: str, *, way: Publishing) -> None:
        super().__init__(name, run, url, kafka)
        self._way = way

    def relay_command(self) -> Sequence[str]:
        us = sys.executable, "-m", "benchmarks.atomicity"
        return [*us, "--relay", self.name, "--run", self.run]

    async def prepare(self) -> None:
        """Make the slot, too, so that the backlog is read from the log and not from its table."""
        await super().prepare()
        if self._way is not Publishing.OUTBOX:
            await self.database.outside(slot_of(self.database, self.tables).make)

    async def relay(self) -> None:
        """Relay until the process is ended."""
        common: dict[str, Any] = {
            "topics": [self.topic.name],
            "tables": self.tables,
            "database": self.database,
            "log": self.log,
            "doorbell": self.doorbell,
        }
        kind = Relay if self._way is Publishing.OUTBOX else Miner
        await kind(self.source, **common).run()


Opening = Callable[[str, str, str, str], Contender]
"""Opens a contender, given its name, the run's, and the addresses of PostgreSQL and Kafka."""

OURS: dict[str, Callable[[str, str, str, str], Ours]] = {
    way.value: partial(Ours, way=way) for way in (Publishing.OUTBOX, Publishing.LOG_OUTBOX)
}
DEBEZIUM: dict[str, Opening] = {
    "DEBEZIUM": partial(Debezium, settings=DEFAULTS),
    "DEBEZIUM_TUNED": partial(Debezium, settings=TUNED),
}
CONTENDERS: dict[str, Opening] = {**OURS, **DEBEZIUM}
