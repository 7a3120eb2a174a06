"""Mined sources keep the contract of every source, and what is their own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from slackwater import metrics
from slackwater.database.postgresql import PostgresqlDatabase
from slackwater.database.postgresql_connection import RawConnection
from slackwater.event_log.port import NewRecord, TopicPartition
from slackwater.mining.retention import Retention
from slackwater.mining.slot import Slot, UnminableError
from slackwater.outbox.relay import Relay
from slackwater.testing import counting
from slackwater.testing.event_source_contract import EventSourceContract
from slackwater.testing.relay_contract import (
    LogAround,
    has_events,
    has_watermarks,
    in_flight,
    running,
    until,
)
from slackwater.testing.relay_writers_contract import RelayWritersContract
from tests.contract.mined_sources import (
    MinedMessages,
    MinedOutbox,
    MinedRows,
    drop_slot,
    is_marked,
)
from tests.contract.postgresql_sources import PostgresqlSources
from tests.postgresql_server import (
    administrator,
    administrator_of,
    role_of,
    url_of,
)

pytestmark = pytest.mark.engine("postgresql")

_LOOK_S = 0.2
_RELEASED_S = (
    60.0  # a server notes every 15 s, if it is written to, from where it must keep its log
)
_FEW_BYTES = 2_000_000
_SILENT_S = 12.0  # longer than the server waits for a word


class MinedSourceContract(PostgresqlSources, EventSourceContract, RelayWritersContract):
    """What every mined source keeps, by whichever way."""


class TestMinedMessages(MinedSourceContract):
    adapter = PostgresqlDatabase
    source_type = MinedMessages


class TestMinedRows(MinedSourceContract):
    adapter = PostgresqlDatabase
    source_type = MinedRows


class TestMinedOutbox(MinedSourceContract):
    adapter = PostgresqlDatabase
    source_type = MinedOutbox

    async def test_a_lost_slot_costs_nothing(self, source: MinedOutbox) -> None:
        await _published(source, 3)
        drop_slot(source)
        await source.raise_counter("c1")
        async with running(source.relay()):
            await until(lambda: has_events(source, 4))
            await source.raise_counter("c1")
            await until(lambda: has_events(source, 5))
            await until(lambda: is_marked(source))
        assert len({each.timeline for each in await source.announced()}) == 1
        assert [event.version for event in await source.events()] == [1, 2, 3, 4, 5]

    async def test_a_source_may_be_polled_and_mined_by_turns(self, source: MinedOutbox) -> None:
        polled, mined = super(MinedOutbox, source).relay, source.relay
        assert type(polled()) is Relay
        for number, relay in enumerate([polled, mined, polled, mined]):
            await source.raise_counter("c1")
            async with running(relay()):
                await source.raise_counter("c1")
                await until(lambda count=2 * number + 2: has_events(source, count))  # type: ignore[misc]
                await until(lambda: is_marked(source))
        versions = {event.id: event.version for event in await source.events()}
        assert list(versions.values()) == [1, 2, 3, 4, 5, 6, 7, 8]

    async def test_a_commit_that_a_new_slot_misses_is_claimed_only_once_it_is_published(
        self, source: MinedOutbox, other: MinedOutbox
    ) -> None:
        """As if it were logged already and not visible yet, a transaction stays open."""
        async with in_flight(other, lambda connection: other.raise_in(connection, "early")):
            relaying = asyncio.create_task(source.relay().run())
            await asyncio.sleep(1)  # the slot is being made, and waits for that transaction
            assert await source.watermarks() == []
        await until(lambda: has_watermarks(source))
        assert len(await source.events()) == 1
        relaying.cancel()
        await asyncio.wait([relaying])

    async def test_an_idle_source_lets_the_server_remove_what_others_write(
        self, source: MinedOutbox
    ) -> None:
        async with running(source.relay()):
            await until(lambda: has_watermarks(source))
            await source.database.transact(_write_elsewhere)
            async with asyncio.timeout(_RELEASED_S):
                while not await _keeps_little(source):
                    await asyncio.sleep(_LOOK_S)

    @pytest.mark.slow
    async def test_a_log_that_takes_longer_than_the_server_waits_costs_no_lead(
        self, source: MinedOutbox
    ) -> None:
        slow = _SlowLog(source.log)
        async with running(source.relay(log=slow)):
            await until(lambda: has_watermarks(source))
            slow.wait_s = _SILENT_S
            await source.raise_counter("c1")
            await until(lambda: has_events(source, 1))
            await until(lambda: is_marked(source))
            assert (await source.tick()).epoch == 1

    async def test_what_a_slot_keeps_from_being_removed_is_shown_and_too_much_is_an_alarm(
        self, source: MinedOutbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await _published(source, 1)
        await source.database.transact(_write_elsewhere)
        retention = Retention(counting.SOURCE, source.mined, source.slot, alarm_bytes=_FEW_BYTES)
        for _ in range(2):
            await retention.look()
        shown = metrics.SLOT_RETAINED_BYTES.labels(counting.SOURCE)._value.get()
        assert _FEW_BYTES < shown == pytest.approx(_held_bytes(source), rel=0.5)
        assert capsys.readouterr().out.count("the slot keeps much log") == 1
        drop_slot(source)
        await retention.look()
        assert "keeps little log again" in capsys.readouterr().out

    async def test_a_slot_that_the_server_has_given_up_is_told_and_not_taken_for_an_empty_one(
        self, source: MinedOutbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        slot = _GivenUpSlot(source.mined.schema, [])
        retention = Retention(counting.SOURCE, source.mined, slot, alarm_bytes=_FEW_BYTES)
        for _ in range(2):
            await retention.look()
        assert capsys.readouterr().out.count("the server has given up the slot") == 1

    async def test_publications_that_somebody_has_changed_are_made_anew(
        self, source: MinedOutbox, tmp_path: Path
    ) -> None:
        await _published(source, 2)
        with administrator_of(tmp_path) as connection:
            name = f'"{source.slot.publications[0]}"'
            connection.execute(f"ALTER PUBLICATION {name} SET (publish = 'delete')".encode())
        await _published(source, 2, known=2)

    async def test_a_role_that_may_not_mine_is_told_what_it_lacks(
        self, source: MinedOutbox, tmp_path: Path
    ) -> None:
        with role_of(tmp_path) as role:
            with administrator_of(tmp_path) as connection:
                connection.execute(f"CREATE SCHEMA {role} AUTHORIZATION {role}".encode())
            lowly = MinedOutbox(
                PostgresqlDatabase(url_of(tmp_path, role), schema=role), source.doorbell, source.log
            )
            await lowly.database.transact(counting.metadata.create_all)
            with pytest.raises(UnminableError, match="REPLICATION"):
                await lowly.relay().run()
            await lowly.database.close()
            with administrator_of(tmp_path) as connection:
                connection.execute(f"DROP SCHEMA {role} CASCADE".encode())

    async def test_a_name_that_is_another_databases_slot_is_refused(
        self, source: MinedOutbox
    ) -> None:
        with administrator() as connection:
            make = "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')"
            connection.execute(make, [source.slot.name])
            try:
                with pytest.raises(UnminableError, match="SLACKWATER_NAMESPACE"):
                    await source.relay().run()
            finally:
                drop = "SELECT pg_drop_replication_slot(%s)"
                connection.execute(drop, [source.slot.name])


class _GivenUpSlot(Slot):
    """As one that held back more log than `max_slot_wal_keep_size` allows."""

    def retained_bytes(self, _: RawConnection) -> None:
        return None


class _SlowLog(LogAround):
    """Acknowledges as late as it is told to."""

    wait_s = 0.0

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        await asyncio.sleep(self.wait_s)
        self.wait_s = 0.0
        return await super().append(records)


def _write_elsewhere(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE IF NOT EXISTS elsewhere (filler text)"))
    fill = "INSERT INTO elsewhere SELECT repeat('x', 1000) FROM generate_series(1, 5000)"
    connection.execute(text(fill))


async def _published(source: MinedOutbox, count: int, known: int = 0) -> None:
    """Run a miner until it has published and marked so many more."""
    async with running(source.relay()):
        await until(lambda: has_watermarks(source))
        for _ in range(count):
            await source.raise_counter("c1")
        await until(lambda: has_events(source, known + count))
        await until(lambda: is_marked(source))


async def _keeps_little(source: MinedOutbox) -> bool:
    return await asyncio.to_thread(_held_bytes, source) < _FEW_BYTES


def _held_bytes(source: MinedOutbox) -> int:
    held = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) FROM pg_replication_slots"
    with administrator() as connection:
        row = connection.execute(
            f"{held} WHERE slot_name = %s".encode(), [source.slot.name]
        ).fetchone()
    assert row is not None
    return int(str(row[0]))
