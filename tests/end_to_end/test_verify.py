"""`slackwater verify` finds what is wrong, whoever lost or doubled it, and names the key."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from slackwater.event_log.port import Record
from slackwater.events.event import Cause
from slackwater.installation import Installation
from slackwater.parts.projector import run_projector
from slackwater.read_models.documents import Document, RowWrite
from slackwater.read_models.progress import ModelVersion, ProgressUpdate
from slackwater.read_models.projector import Projector
from slackwater.settings import load_settings
from tests.end_to_end.harness import Store, running, until
from write_services.orders.service import service as orders_service

Change = Callable[[Sequence[Record]], Sequence[Record]]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a stopped installation in which three orders were decided."""
    data_dir = tmp_path_factory.mktemp("verify") / "data"
    with running(data_dir) as installation:
        store = installation.store
        store.add_product("V-1")
        customer = store.create_customer()
        placed = [store.place_order(customer, "V-1")["order"]["id"] for _ in range(3)]
        for order_id in placed:
            store.decided(order_id)
        until(installation.verify, lambda verified: verified.returncode == 0)
    keys = [_key_of(order_id) for order_id in placed]
    (data_dir.parent / "orders.json").write_bytes(orjson.dumps(keys))
    return data_dir


@pytest.fixture(scope="module")
def order_ids(data_dir: Path) -> list[str]:
    ids: list[str] = orjson.loads((data_dir.parent / "orders.json").read_bytes())
    return ids


@pytest.fixture
def copy(data_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(data_dir, tmp_path / "data"))


def _verify(data_dir: Path, *more: str) -> subprocess.CompletedProcess[str]:
    arguments = ("--data-dir", str(data_dir), "--settle-s", "0", *more)
    return subprocess.run(
        [sys.executable, "-m", "slackwater.command_line", "verify", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_stopped_installation_is_equal(copy: Path) -> None:
    verified = _verify(copy)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert verified.stdout.count(": equal") == 4
    assert "reservations: kept" in verified.stdout


def test_a_corrupted_document_is_named_with_what_differs(copy: Path) -> None:
    _rewrite(copy, "products", "V-1", lambda product: {**product, "stock_available": 1})
    verified = _verify(copy)
    assert verified.returncode == 1
    assert "products V-1: different" in verified.stdout
    assert "stock_available: expected 97, found 1" in verified.stdout


def test_a_missing_key_is_not_null(copy: Path, order_ids: list[str]) -> None:
    _rewrite(copy, "orders", order_ids[0], lambda order: _without(order, "note"))
    verified = _verify(copy)
    assert verified.returncode == 1
    assert f"orders {order_ids[0]}: different" in verified.stdout
    assert "note: expected None, found '(absent)'" in verified.stdout


def test_a_corrupted_reservation_is_told_with_its_order(copy: Path, order_ids: list[str]) -> None:
    _change(copy, "customers", "UPDATE customer SET credit_reserved_minor = 3001")
    _change(
        copy,
        "customers",
        f"UPDATE credit_reservation SET amount_minor = 1001 WHERE order_id = '{order_ids[0]}'",
    )
    verified = _verify(copy)
    assert verified.returncode == 1
    assert "broken invariant" not in verified.stdout, "customers alone cannot know"
    assert f"reservations {order_ids[0]}: it costs 1000, but its credit is 1001" in verified.stdout


def test_a_release_too_much_is_told(copy: Path, order_ids: list[str]) -> None:
    _change(copy, "inventory", "UPDATE product SET stock_available = stock_available + 1")
    verified = _verify(copy)
    assert verified.returncode == 1
    assert (
        "broken invariant: inventory: product V-1 has a stock of 98 and orders took 3, "
        "but 100 came in" in verified.stdout
    )
    _change(
        copy,
        "inventory",
        f"UPDATE stock_reservation SET state = 'RELEASED' WHERE order_id = '{order_ids[0]}'",
    )
    verified = _verify(copy)
    assert verified.returncode == 1
    assert "broken invariant" not in verified.stdout, "inventory alone cannot know"
    assert f"{order_ids[0]}: APPROVED, but its stock is RELEASED" in verified.stdout


def test_what_is_held_for_an_order_that_is_done_with_is_told(
    copy: Path, order_ids: list[str]
) -> None:
    _cancel_without_release(copy, order_ids[0])
    report = orjson.loads(_verify(copy, "--json").stdout)
    assert not report["equal"]
    assert report["shared_invariants"] == {"reservations": 1}
    (violation,) = report["violations"]
    assert violation == {
        "invariant": "reservations",
        "id": order_ids[0],
        "problem": "CANCELLED, but its credit is RESERVED; CANCELLED, but its stock is RESERVED",
    }


def test_a_reservation_for_an_unknown_order_is_told(copy: Path) -> None:
    for statement in (
        "UPDATE product SET stock_available = stock_available - 7",
        "INSERT INTO stock_reservation VALUES ('unknown', 'somebody', 'RESERVED', 1)",
        "INSERT INTO stock_reservation_line VALUES ('unknown', 'V-1', 7)",
    ):
        _change(copy, "inventory", statement)
    verified = _verify(copy)
    assert verified.returncode == 1
    assert (
        "reservations unknown: no such order, but its credit is UNHEARD, its stock RESERVED"
        in verified.stdout
    )


def test_a_busy_key_that_stays_wrong_is_told(copy: Path) -> None:
    with running(copy) as installation, ThreadPoolExecutor() as threads:
        customer = installation.store.create_customer(limit="100000.00")
        customer_id = _key_of(customer)
        until(installation.verify, lambda verified: verified.returncode == 0)
        _rewrite(
            copy,
            "customer_orders",
            customer_id,
            lambda document: {**document, "order_count": document["order_count"] + 1},
        )
        stop = threading.Event()
        traffic = threads.submit(_place_orders, installation.port, customer, stop)
        try:
            verified = installation.verify()
        finally:
            stop.set()
        assert traffic.result(timeout=60) > 1
    assert verified.returncode == 1
    assert f"customer_orders {customer_id}: different" in verified.stdout


def test_a_dropped_event_is_found(
    copy: Path, order_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    last_of = order_ids[0]

    def drop_last(records: Sequence[Record]) -> Sequence[Record]:
        own = [record for record in records if record.headers["ce_subject"] == last_of]
        return [record for record in records if record is not own[-1]]

    _project_anew(copy, "orders", drop_last, monkeypatch)
    verified = _verify(copy)
    assert verified.returncode == 1
    assert f"orders {last_of}: different" in verified.stdout


def test_a_doubled_event_is_found(
    copy: Path, order_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    doubled = order_ids[1]

    def double_first(records: Sequence[Record]) -> Sequence[Record]:
        """Apply the placing once more at the end, as if it were the order's next event."""
        own = [record for record in records if record.headers["ce_subject"] == doubled]
        version = str(len(own) + 1)
        again = {**own[0].headers, "ce_aggregateversion": version}
        last = records[-1]
        return [
            *records,
            Record(
                topic=last.topic,
                partition=last.partition,
                offset=last.offset,
                key=own[0].key,
                value=own[0].value,
                headers=again,
            ),
        ]

    _project_anew(copy, "customer_orders", double_first, monkeypatch)
    verified = _verify(copy)
    assert verified.returncode == 1
    assert f"orders {doubled}: different" in verified.stdout


def _rewrite(
    data_dir: Path, read_model: str, row_id: str, change: Callable[[Document], Document]
) -> None:
    """Change a document behind its projector's back; its collection is named as its read model."""

    async def rewrite(installation: Installation) -> None:
        model = ModelVersion(read_model)
        stored = model.stored_name(read_model)
        row = (await installation.documents.get(stored, [row_id]))[row_id]
        claim = await installation.documents.progress.claim(model, [])
        write = RowWrite(
            collection=stored,
            id=row.id,
            version=row.version,
            expected_revision=row.revision,
            document=change(row.document),
        )
        await installation.documents.commit([write], ProgressUpdate(claim=claim, positions={}))

    asyncio.run(_opened(data_dir, rewrite))


def _change(data_dir: Path, service: str, statement: str) -> None:
    """Change a service's tables behind its back."""

    async def change(installation: Installation) -> None:
        await installation.database(service).transact(
            lambda connection: connection.execute(text(statement))
        )

    asyncio.run(_opened(data_dir, change))


def _cancel_without_release(data_dir: Path, order_id: str) -> None:
    """Cancel an order at its service alone; nobody else hears of it."""
    [command] = [each for each in orders_service.commands if each.name == "cancel-order"]

    async def cancel(installation: Installation) -> None:
        await installation.database("orders").transact(
            lambda connection: orders_service.unit_of_work(
                connection, cause=Cause.start(), now=datetime.now(UTC)
            ).run(lambda unit: command.handle(unit, command.body(order_id=order_id)))
        )

    asyncio.run(_opened(data_dir, cancel))


async def _opened(data_dir: Path, work: Callable[[Installation], Awaitable[None]]) -> None:
    installation = Installation(load_settings({"data_dir": data_dir}))
    try:
        await work(installation)
    finally:
        await installation.close()


def _place_orders(port: int, customer: str, stop: threading.Event) -> int:
    store, placed = Store(port), 0
    while not stop.is_set():
        store.place_order(customer, "V-1")
        placed += 1
        stop.wait(0.2)
    store.close()
    return placed


def _without(document: Document, key: str) -> Document:
    return {name: value for name, value in document.items() if name != key}


def _key_of(global_id: str) -> str:
    return base64.b64decode(global_id).decode().partition(":")[2]


def _project_anew(
    data_dir: Path, name: str, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Project the whole log again into empty rows, with what the projector is handed changed."""
    handle = Projector.handle

    async def handle_changed(self: Projector, records: Sequence[Record]) -> None:
        is_orders = records[0].topic == "orders.events"
        await handle(self, change(records) if is_orders else records)

    monkeypatch.setattr(Projector, "handle", handle_changed)
    for stale in data_dir.glob("documents.sqlite*"):
        stale.unlink()
    asyncio.run(_project(data_dir, name))
    monkeypatch.undo()


async def _project(data_dir: Path, name: str) -> None:
    installation = Installation(load_settings({"data_dir": data_dir}))
    projectors = [
        asyncio.create_task(run_projector(installation, each))
        for each in installation.manifest.projections
    ]
    topics = installation.manifest.projection(name).read_model.all_topics
    wanted = await installation.event_log.end_offsets(topics)
    async with asyncio.timeout(30):
        while True:
            progress = {p.model.read_model: p for p in await installation.documents.progress.load()}
            applied = progress[name].positions if name in progress else {}
            if all(applied.get(at, 0) >= end for at, end in wanted.items()):
                break
            await installation.documents.progress.wait_for_change(timeout_ms=100)
    for projector in projectors:
        projector.cancel()
    await asyncio.gather(*projectors, return_exceptions=True)
    await installation.close()
