"""One-shot commands that set up storage: harmless when repeated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def _run(data_dir: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "slackwater.command_line", *arguments]
    ran = subprocess.run(
        [*command, "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("db", "migrate"), "orders: migrated"),
        (("topics", "create"), "orders.events: 4 partitions, keeps everything"),
    ],
)
def test_setting_up_twice_says_the_same(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    first = _run(tmp_path, *arguments)
    assert said in first
    assert _run(tmp_path, *arguments) == first
