"""`slackwater lag`: what it says of a running installation, and of one without its services."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import Running, until

DEADLINE_S = 60
EXPECTED = {
    ("customer_orders", "customers"),
    ("customer_orders", "orders"),
    ("orders", "orders"),
    ("products", "inventory"),
    ("order_search", "customers"),
    ("order_search", "orders"),
    ("order_search", "inventory"),
}


def run_lag(data_dir: Path, port: int, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            *("-m", "slackwater.command_line", "lag", *options),
            *("--data-dir", str(data_dir), "--port", str(port)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )


def lags_of(installation: Running) -> dict[tuple[str, str], dict[str, Any]]:
    ran = run_lag(installation.data_dir, installation.port, "--json")
    assert ran.returncode == 0, ran.stderr
    return {(each["read_model"], each["source"]): each for each in json.loads(ran.stdout)}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Any:
    running = Running(tmp_path_factory.mktemp("lag") / "data", "--processes")
    try:
        yield running.wait_ready()
    finally:
        running.stop()


def test_every_read_model_and_source_has_its_bound(installation: Running) -> None:
    installation.store.add_product("LAG")
    lags = until(
        lambda: lags_of(installation),
        lambda found: {each["status"] for each in found.values()} == {"LIVE"},
        DEADLINE_S,
    )
    assert lags.keys() == EXPECTED
    assert all(0 < each["max_staleness_ms"] < 1_000 * DEADLINE_S for each in lags.values())
    assert all(each["tick"] and each["reason"] is None for each in lags.values())


@pytest.mark.parametrize(
    ("part", "limit"), [("projector products", "PROJECTOR"), ("relay inventory", "OUTBOX")]
)
def test_the_stage_that_stands_still_is_named(installation: Running, part: str, limit: str) -> None:
    with installation.paused(part):
        installation.store.add_product(f"BEHIND-{limit}", wait=False)
        lag = until(
            lambda: lags_of(installation)["products", "inventory"],
            lambda each: each["limited_by"] == limit,
            DEADLINE_S,
        )
        assert lag["lag_events"] >= 1


def test_without_services_nothing_is_known_and_the_table_says_so(installation: Running) -> None:
    shown = run_lag(installation.data_dir, 1)
    assert shown.returncode == 0, shown.stderr
    heading, *rows = shown.stdout.splitlines()
    assert heading.split() == [
        "read",
        "model",
        "source",
        "status",
        "at",
        "most",
        "events",
        "limited",
        "by",
        "tick",
    ]
    assert len(rows) == len(EXPECTED)
    assert all("UNKNOWN" in row and "PROBE" in row for row in rows), shown.stdout


def test_a_folder_without_an_installation_is_said_to_have_none(tmp_path: Path) -> None:
    ran = run_lag(tmp_path / "nothing", 8000)
    assert ran.returncode == 1
    assert "holds no installation" in ran.stderr
    assert not (tmp_path / "nothing").exists()
