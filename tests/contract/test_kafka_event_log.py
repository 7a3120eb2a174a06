"""The event log on Kafka keeps the contract, and what a broker adds to it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from slackwater.event_log.kafka import KafkaEventLog
from slackwater.event_log.kafka_driver import KafkaCluster, KafkaError
from slackwater.event_log.kafka_subscription import KafkaSubscription
from slackwater.event_log.port import EventLog, Subscription
from slackwater.testing.event_log_contract import EventLogContract

pytestmark = pytest.mark.engine("kafka")


def cluster() -> KafkaCluster:
    return KafkaCluster(bootstrap_servers=os.environ["SLACKWATER_KAFKA_URL"])


@asynccontextmanager
async def opened() -> AsyncIterator[KafkaEventLog]:
    log = KafkaEventLog(cluster(), session_timeout_ms=6_000)
    yield log
    async with log._topics._admin("cleaning up") as admin:
        await admin.delete_topics(list(log._topics._partitions))
    await log.close()


class TestKafkaEventLog(EventLogContract):
    @asynccontextmanager
    async def open_log(self, directory: Path) -> AsyncIterator[EventLog]:
        async with opened() as log:
            yield log

    async def die(self, subscription: Subscription) -> None:
        coordinator = cast("KafkaSubscription", subscription)._consumer._coordinator

        async def refuse(request: object) -> None:
            raise KafkaError("the member is dead")

        coordinator._send_req = refuse
