"""A process with all its descendants: the whole of it is killed, paused and resumed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.engines.family import family, kill, pause, resume

DEADLINE_S = 20
_PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], start_new_session=True)
print("begun", flush=True)
child.wait()
"""


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def until_family_has(size: int, pid: int) -> list[int]:
    give_up_s = time.monotonic() + DEADLINE_S
    while len(found := family(pid)) < size:
        assert time.monotonic() < give_up_s, found
        time.sleep(0.01)
    return found


@pytest.fixture
def parent() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    # A parent that is stopped while its child has not begun its program waits for that, unstopped.
    assert process.stdout.readline() == b"begun\n"
    yield process.pid
    kill(process.pid)
    process.communicate()


def test_a_child_in_a_session_of_its_own_belongs_to_the_family(parent: int) -> None:
    assert until_family_has(2, parent)[0] == parent


def test_kill_leaves_none_of_them(parent: int) -> None:
    found = until_family_has(2, parent)
    kill(parent)
    assert [state(pid) in "ZX" for pid in found] == [True, True]


def test_pause_stops_all_of_them_and_resume_lets_them_go_on(parent: int) -> None:
    found = until_family_has(2, parent)
    assert pause(parent) == found
    give_up_s = time.monotonic() + DEADLINE_S
    while {state(pid) for pid in found} != {"T"}:
        assert time.monotonic() < give_up_s
        time.sleep(0.01)
    resume(parent)
    while "T" in {state(pid) for pid in found}:
        assert time.monotonic() < give_up_s
        time.sleep(0.01)
