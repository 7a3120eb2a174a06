"""The launcher of real engines as a program; no engine is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def launcher(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.engines", *arguments],
        cwd=ROOT,
        env={**os.environ, "SLACKWATER_ENGINES_DIR": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_status_of_an_empty_folder_says_that_all_are_stopped(tmp_path: Path) -> None:
    done = launcher(tmp_path, "status", "--json")

    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert told["folder"] == str(tmp_path)
    assert list(told["engines"]) == ["postgresql", "kafka", "mongodb", "elasticsearch"]
    assert {engine["condition"] for engine in told["engines"].values()} == {"stopped"}
    assert told["engines"]["kafka"]["url"] == "127.0.0.1:19092"
    assert list(tmp_path.iterdir()) == []


def test_down_in_an_empty_folder_is_harmless(tmp_path: Path) -> None:
    done = launcher(tmp_path, "down")
    assert done.returncode == 0
    assert "kafka: not running" in done.stderr


def test_an_unknown_engine_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    done = launcher(tmp_path, "up", "mysql")
    assert done.returncode == 2
    assert "mysql is none of postgresql, kafka, mongodb, elasticsearch" in done.stderr
