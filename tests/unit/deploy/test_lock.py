"""The lock between starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.engines.errors import BusyError
from deploy.engines.lock import locked


def test_a_second_holder_waits_and_then_says_what_to_do(tmp_path: Path) -> None:
    waited: list[bool] = []

    with (
        locked(tmp_path / "lock", wait_s=1, on_wait=waited.clear),
        pytest.raises(BusyError, match="try again"),
        locked(tmp_path / "lock", wait_s=0.1, on_wait=lambda: waited.append(True)),
    ):
        pass
    assert waited == [True]


def test_it_is_free_after_its_holder(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "lock", wait_s=0, on_wait=lambda: pytest.fail("it waited")):
            pass


def test_an_heir_keeps_it_until_its_own_end(tmp_path: Path) -> None:
    """As when a start is killed while a registry's client still writes."""
    path = tmp_path / "lock"
    with locked(path, wait_s=0, on_wait=lambda: None) as lock:
        heir = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock]
        )
    with pytest.raises(BusyError), locked(path, wait_s=0, on_wait=lambda: None):
        pass

    heir.communicate(b"\n", timeout=10)
    with locked(path, wait_s=0, on_wait=lambda: pytest.fail("it waited")):
        pass
