"""What `make run` installs is enough: no driver of an engine is needed on embedded storage."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.end_to_end.harness import running
from tests.end_to_end.without_engines import DRIVERS

PROGRAM = ("-m", "tests.end_to_end.without_engines")

pytestmark = pytest.mark.slow


def test_the_whole_loop_runs_without_the_drivers_of_engines(tmp_path: Path) -> None:
    with running(tmp_path / "data", program=(*PROGRAM, "run")) as installation:
        store = installation.store
        store.add_product("BOLT")
        placed = store.place_order(store.create_customer(), "BOLT")
        assert store.decided(placed["order"]["id"])["status"] == "APPROVED"
        for command in (["verify"], ["lag", "--json"], ["dead-letter", "list"]):
            done = subprocess.run(
                [sys.executable, *PROGRAM, *command, "--data-dir", str(installation.data_dir)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr


def test_every_driver_is_known() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = " ".join(project["optional-dependencies"]["engines"])
    for driver in ("aiokafka", "elasticsearch", "psycopg", "pymongo"):
        assert driver in extras
        assert driver in DRIVERS
