"""The relay keeps its contract on PostgreSQL, and what is its own there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from slackwater.database.port import LostLeaseError
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.event_log.port import EventLog, NewRecord, TopicPartition
from slackwater.testing.event_source_contract import EventSourceContract
from slackwater.testing.relay_cleaning_contract import RelayCleaningContract
from slackwater.testing.relay_contract import (
    LogAround,
    RelayContract,
    Source,
    has_events_among,
    has_watermarks,
    running,
    until,
)
from slackwater.testing.relay_lineage_contract import RelayLineageContract
from slackwater.testing.relay_writers_contract import RelayWritersContract
from tests.contract.cleaned_sources import CleanedSource
from tests.contract.postgresql_sources import PostgresqlSources, database_of
from tests.postgresql_server import end_connections

pytestmark = pytest.mark.engine("postgresql")


class TestPostgresqlRelay(
    PostgresqlSources,
    RelayContract,
    EventSourceContract,
    RelayLineageContract,
    RelayCleaningContract,
    RelayWritersContract,
):
    """The relay of a source that keeps everything."""

    adapter = PostgresqlDatabase

    async def test_a_leader_whose_connection_is_lost_abandons_its_tick_and_begins_anew(
        self, source: Source, tmp_path: Path
    ) -> None:
        await source.raise_counter("c1")
        cutting = CuttingLog(source.log, tmp_path)
        async with running(source.relay(log=cutting)):
            await until(lambda: has_watermarks(source))
        assert cutting.ended == 1
        assert {watermark.epoch for watermark in await source.watermarks()} == {2}
        assert await source.unpublished() == 0

    async def test_a_leader_that_stands_still_is_succeeded_and_claims_nothing_more(
        self, source: Source, tmp_path: Path
    ) -> None:
        await source.raise_counter("c1")
        patient, hasty = database_of(tmp_path), database_of(tmp_path, lease_timeout_ms=300)
        async with asyncio.timeout(10):
            async with hasty.lease("relay") as session:
                still = source.leader(session=session)
                await still.take_lead()
                async with patient.lease("relay") as successor:
                    await source.leader(session=successor).take_lead()
                    with pytest.raises(LostLeaseError):
                        await still.step()
        assert (await source.events(), await source.watermarks()) == ([], [])
        await patient.close()
        await hasty.close()


class TestPostgresqlRelayThatCleans(PostgresqlSources, EventSourceContract, RelayWritersContract):
    """Whatever happens to relays, removing events beside it does no harm."""

    adapter = PostgresqlDatabase
    source_type = CleanedSource


class CuttingLog(LogAround):
    """Cuts the leader off from its database once, when the records are durable."""

    def __init__(self, log: EventLog, directory: Path) -> None:
        super().__init__(log)
        self._directory = directory
        self.ended = 0

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        if not self.ended and has_events_among(records):
            self.ended = end_connections(self._directory, "%lease%")
        return await super().append(records)
