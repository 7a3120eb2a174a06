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

    way = Publishing.OUTBOX

    def relay_command(self) -> Sequence[str]:
        us = sys.executable, "-m", "benchmarks.atomicity"
        return [*us, "--relay", self.name, "--run", self.run]

    async def relay(self) -> None:
        """Relay until the process is ended."""
        await self.open_relay(Relay).run()

    def open_relay(self, kind: Callable[..., Relay], **more: Any) -> Relay:
        return kind(
            self.source,
            topics=[self.topic.name],
            tables=self.tables,
            database=self.database,
            log=self.log,
            doorbell=self.doorbell,
            **more,
        )


class Mined(Ours):
    """A miner whose slot is older than the backlog, so that this is read from the log."""

    way = Publishing.LOG_OUTBOX

    async def prepare(self) -> None:
        await super().prepare()
        await self.database.outside(slot_of(self.database, self.tables).make)

    async def relay(self) -> None:
        await self.open_relay(Miner).run()


Opening = Callable[[str, str, str, str], Contender]
"""Opens a contender, given its name, the run's, and the addresses of PostgreSQL and Kafka."""

OURS: dict[str, Callable[[str, str, str, str], Ours]] = {
    each.way.value: each for each in (Ours, Mined)
}
DEBEZIUM: dict[str, Opening] = {
    "DEBEZIUM": partial(Debezium, settings=DEFAULTS),
    "DEBEZIUM_TUNED": partial(Debezium, settings=TUNED),
}
CONTENDERS: dict[str, Opening] = {**OURS, **DEBEZIUM}
