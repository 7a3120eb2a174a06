"""A service's database is put back to a backup: nothing of it is certified until it is rebuilt."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from slackwater.event_log.port import TopicPartition
from slackwater.installation import Installation
from slackwater.read_models.progress import ModelVersion, ProgressUpdate
from slackwater.settings import load_settings
from tests.end_to_end.harness import Running, Store, running, until

pytestmark = pytest.mark.slow

_READ = "query ($id: ID!) { customer(id: $id) { creditLimit { amount } } }"
_MODELS = "{ readModels { name status sources { source maxStalenessMs } } }"
_FED_BY_CUSTOMERS = ["customer_orders", "order_search"]


def _limit(store: Store, customer: str, amount: str) -> str:
    """Change a customer's limit; return the token."""
    payload = store.mutate(
        "changeCreditLimit",
        {"customerId": customer, "creditLimit": {"amount": amount, "currency": "EUR"}},
    )
    token: str = payload["consistencyToken"]
    return token


def _shown(store: Store, customer: str, token: str) -> Any:
    return store.ask(_READ, {"id": customer}, after=[token])


def _tick(installation: Running) -> int:
    """Return how far the customers service's tick has counted."""
    answer = httpx2.get(f"http://127.0.0.1:{installation.port + 1}/internal/tick").json()
    assert answer["source"] == "customers"
    n: int = answer["n"]
    return n


def _models(store: Store) -> dict[str, Any]:
    return {model["name"]: model for model in store.ask(_MODELS).data["readModels"]}


def _bound(model: dict[str, Any], source: str) -> int | None:
    [found] = [each["maxStalenessMs"] for each in model["sources"] if each["source"] == source]
    bound: int | None = found
    return bound


def _slackwater(installation: Running, *arguments: str) -> None:
    ran = subprocess.run(
        [
            sys.executable,
            *("-m", "slackwater.command_line", *arguments),
            *("--data-dir", str(installation.data_dir)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        env=installation.environment,
    )
    assert ran.returncode == 0, ran.stderr


def _copy(files: list[Path], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for file in files:
        shutil.copy2(file, folder / file.name)


def _database(data_dir: Path) -> list[Path]:
    return sorted((data_dir / "services").glob("customers.sqlite*"))


async def _half_build(data_dir: Path, model: ModelVersion) -> None:
    """Leave a version behind as a rebuild does that was stopped before the restore."""
    installation = Installation(load_settings({"data_dir": data_dir}))
    progress = installation.documents.progress
    await progress.register(model)
    [at] = places = [TopicPartition("customers.events", 0)]
    claim = await progress.claim(model, places)
    await progress.save(
        ProgressUpdate(claim=claim, positions={at: 1}, timelines={at: "of before the restore"})
    )
    await installation.close()


def test_nothing_of_a_restored_source_is_certified_until_it_is_rebuilt(tmp_path: Path) -> None:
    data_dir, backup = tmp_path / "data", tmp_path / "backup"
    with running(data_dir) as installation:
        customer = installation.store.create_customer("Restored", limit="100.00")
        token = _limit(installation.store, customer, "101.00")
        assert _shown(installation.store, customer, token).data
    _copy(_database(data_dir), backup)
    with running(data_dir) as installation:
        lost = _limit(installation.store, customer, "666.00")
        assert _shown(installation.store, customer, lost).data
        known = _tick(installation)
    for file in _database(data_dir):
        file.unlink()
    _copy(sorted(backup.iterdir()), data_dir / "services")
    asyncio.run(_half_build(data_dir, ModelVersion("order_search", 2)))
    with running(data_dir) as installation:
        store = installation.store
        kept = _limit(store, customer, "102.00")
        until(lambda: _tick(installation), lambda n: n > known + 10, timeout_s=60)
        kept = _limit(store, customer, "103.00")
        until(lambda: _shown(store, customer, lost).codes, ["INVALID_CONSISTENCY_TOKEN"].__eq__)
        assert _shown(store, customer, kept).codes == ["STALE_READ"]
        models = _models(store)
        assert {models[name]["status"] for name in _FED_BY_CUSTOMERS} == {"UNKNOWN"}
        assert {_bound(models[name], "customers") for name in _FED_BY_CUSTOMERS} == {None}
        assert _bound(models["products"], "inventory") is not None
        for name in _FED_BY_CUSTOMERS:
            _slackwater(installation, "rebuild", name)
        shown = until(lambda: _shown(store, customer, kept), lambda answer: not answer.codes)
        assert shown.data["customer"]["creditLimit"]["amount"] == "103.00"
        models = _models(store)
        assert None not in {_bound(models[name], "customers") for name in _FED_BY_CUSTOMERS}
        assert "UNKNOWN" not in {model["status"] for model in models.values()}
        until(installation.verify, lambda verified: verified.returncode == 0, timeout_s=60)


def test_a_lost_log_is_filled_again_and_everything_can_be_rebuilt(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running(data_dir) as installation:
        store = installation.store
        store.add_product("KEPT")
        customer = store.create_customer("Kept")
        placed = store.place_order(customer, "KEPT")
        store.decided(placed["order"]["id"])
        names = sorted(_models(store))
    shutil.rmtree(data_dir / "log")
    with running(data_dir) as installation:
        store = installation.store
        until(
            lambda: {model["status"] for model in _models(store).values()},
            {"UNKNOWN"}.__eq__,
            timeout_s=60,
        )
        for name in names:
            _slackwater(installation, "rebuild", name)
        placed = store.place_order(customer, "KEPT")
        assert store.decided(placed["order"]["id"])["status"] == "APPROVED"
        until(installation.verify, lambda verified: verified.returncode == 0, timeout_s=60)
        assert "UNKNOWN" not in {model["status"] for model in _models(store).values()}
