"""A service goes from one way of publishing to another, as its parts are started anew."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from psycopg import sql
from sqlalchemy import Connection, select

from slackwater.installation import Installation
from slackwater.outbox.publishing import Publishing
from slackwater.parts.publishing import prepare_publishing
from slackwater.parts.relay import run_relay
from slackwater.parts.service import prepare_service
from slackwater.settings import load_settings
from tests.integration.service_bench import ServiceBench
from tests.postgresql_server import administrator_of, own_database
from write_services.inventory.tables import product, tables

pytestmark = pytest.mark.engine("postgresql")

_DEADLINE_S = 30.0
_NAME = "inventory"
_TEA: dict[str, Any] = {
    "sku": "tea",
    "name": "tea",
    "price": {"minor": 250, "currency": "EUR"},
    "stock": 1,
}
events = tables.events.c


@pytest.fixture
def namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Choose a database of one's own, and a log on embedded storage."""
    namespace = f"ways_{secrets.token_hex(4)}"
    for name in ("KAFKA", "MONGODB", "ELASTICSEARCH"):
        monkeypatch.delenv(f"SLACKWATER_{name}_URL", raising=False)
    with own_database(tmp_path) as url:
        monkeypatch.setenv("SLACKWATER_POSTGRESQL_URL", url)
        monkeypatch.setenv("SLACKWATER_NAMESPACE", namespace)
        monkeypatch.setenv("SLACKWATER_DATA_DIR", str(tmp_path / "data"))
        yield namespace


async def test_inventory_goes_round_all_ways_and_its_versions_count_on(
    namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = 0
    for way in ("OUTBOX", "LOG_MESSAGES", "LOG_OUTBOX", "LOG_MESSAGES", "ROW_CHANGES"):
        async with _started(way, monkeypatch) as bench:
            before, told = told, await _change(bench, is_new=not told)
        assert way == "ROW_CHANGES" or told == before + 2
    with administrator_of(tmp_path) as connection:
        mined = sql.Identifier(f"{namespace}_{_NAME}", "mined")
        connection.execute(sql.SQL("DELETE FROM {}").format(mined))
    for way in ("LOG_OUTBOX", "OUTBOX"):
        async with _started(way, monkeypatch) as bench:
            before, told = told, await _change(bench)
        assert told == before + 2


@pytest.mark.usefixtures("namespace")
async def test_an_instance_that_a_change_forgot_answers_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _started("OUTBOX", monkeypatch) as bench:
        forgotten = replace(bench.service, publishing=Publishing.LOG_MESSAGES)
        answer = await ServiceBench(forgotten, bench.database).post("add-product", _TEA)
        assert (answer.status_code, answer.json()["code"]) == (503, "ANOTHER_WAY_OF_PUBLISHING")
        assert "SLACKWATER_PUBLISHING" in answer.json()["detail"]
        assert await bench.facts("product") == []


@asynccontextmanager
async def _started(way: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServiceBench]:
    """Start the service and its relay as one would who has changed the setting."""
    monkeypatch.setenv("SLACKWATER_PUBLISHING", f'{{"{_NAME}": "{way}"}}')
    installation = Installation(load_settings({}))
    service = installation.service(_NAME)
    assert service.publishing is Publishing(way)
    await prepare_service(installation, service)
    relaying = asyncio.create_task(run_relay(installation, _NAME))
    try:
        await asyncio.wait_for(prepare_publishing(installation, service), _DEADLINE_S)
        yield ServiceBench(service, installation.database(_NAME))
    finally:
        relaying.cancel()
        with suppress(asyncio.CancelledError):
            await relaying
        await installation.close()


async def _change(bench: ServiceBench, *, is_new: bool = False) -> int:
    """Let two more things happen to the one product, and return how many events tell of it."""
    if is_new:
        await bench.command("add-product", **_TEA)
    for _ in range(1 if is_new else 2):
        assert (await bench.command("restock-product", sku="tea", quantity=1)).status == 200
    async with asyncio.timeout(_DEADLINE_S):
        while not await bench.database.read(_is_told):
            await asyncio.sleep(0.02)
    versions = await bench.database.read(_versions)
    assert versions == list(range(1, len(versions) + 1))
    return len(versions)


def _is_told(connection: Connection) -> bool:
    """Tell whether the newest event says how much there is, and all are published."""
    newest = select(events.payload).order_by(events.position.desc())
    row = connection.execute(newest.limit(1)).one_or_none()
    stock = connection.execute(select(product.c.stock_available)).scalar_one()
    waiting = connection.execute(select(events.id).where(events.published.is_(False))).first()
    return row is not None and waiting is None and _stock(row.payload) == stock


def _stock(payload: bytes) -> int:
    return int(json.loads(payload)["stock_available"])


def _versions(connection: Connection) -> list[int]:
    return list(connection.execute(select(events.version).order_by(events.position)).scalars())
