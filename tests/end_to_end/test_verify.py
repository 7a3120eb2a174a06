"""`slackwater verify` finds what is wrong, whoever lost or doubled it, and names the key."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import pytest

from contracts.documents.products import PRODUCTS_COLLECTION
from slackwater.event_log.port import Record
from slackwater.installation import Installation
from slackwater.parts.projector import run_projector
from slackwater.read_models.documents import RowWrite
from slackwater.read_models.progress import ModelVersion, ProgressUpdate
from slackwater.read_models.projector import Projector
from slackwater.settings import load_settings
from tests.end_to_end.harness import running, until

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
    keys = [base64.b64decode(order_id).decode().partition(":")[2] for order_id in placed]
    (data_dir.parent / "orders.json").write_bytes(orjson.dumps(keys))
    return data_dir


@pytest.fixture(scope="module")
def order_ids(data_dir: Path) -> list[str]:
    ids: list[str] = orjson.loads((data_dir.parent / "orders.json").read_bytes())
    return ids


@pytest.fixture
def copy(data_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(data_dir, tmp_path / "data"))


def _verify(data_dir: Path) -> subprocess.CompletedProcess[str]:
    arguments = ("--data-dir", str(data_dir), "--settle-s", "0")
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


def test_a_corrupted_document_is_named_with_what_differs(copy: Path) -> None:
    async def corrupt() -> None:
        installation = Installation(load_settings({"data_dir": copy}))
        products = ModelVersion("products")
        stored = products.stored_name(PRODUCTS_COLLECTION.name)
        rows = await installation.documents.get(stored, ["V-1"])
        claim = await installation.documents.progress.claim(products, [])
        row = rows["V-1"]
        write = RowWrite(
            collection=stored,
            id=row.id,
            version=row.version,
            expected_revision=row.revision,
            document={**row.document, "stock_available": 1},
        )
        await installation.documents.commit([write], ProgressUpdate(claim=claim, positions={}))
        await installation.close()

    asyncio.run(corrupt())
    verified = _verify(copy)
    assert verified.returncode == 1
    assert "products V-1: different" in verified.stdout
    assert "stock_available: expected 97, found 1" in verified.stdout


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
