"""A process and all that descend from it, for tests that kill or pause an engine as a whole.

PostgreSQL's backends lead groups of their own and Elasticsearch's server is its launcher's child,
so neither the process nor its group is the whole engine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from deploy.engines.errors import EngineError

_GONE_S = 10.0
_ASK_S = 0.02


def family(pid: int) -> list[int]:
    """Return the process and its descendants, parents first."""
    found = [pid]
    for parent in found:
        found.extend(_children(parent))
    return found


def pause(pid: int) -> list[int]:
    """Stop all of them with SIGSTOP, parents first so that none has another child; return them."""
    paused: list[int] = []
    while new := [each for each in family(pid) if each not in paused]:
        for each in new:
            _send(each, signal.SIGSTOP)
        paused += new
    return paused


def resume(pid: int) -> None:
    """Let all of them go on, children first."""
    for each in reversed(family(pid)):
        _send(each, signal.SIGCONT)


def kill(pid: int) -> None:
    """End all of them at once with SIGKILL, as a power cut would, and wait until they are gone.

    Raises:
        EngineError: they cannot be ended.
    """
    ending = pause(pid)
    for each in ending:
        _send(each, signal.SIGKILL)
    give_up_s = time.monotonic() + _GONE_S
    while left := [each for each in ending if _is_alive(each)]:
        if time.monotonic() > give_up_s:
            raise EngineError(f"processes {left} cannot be ended; look at them with ps")
        time.sleep(_ASK_S)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # PostgreSQL takes a dead child of ours for one that runs


def _children(pid: int) -> list[int]:
    """Ask each thread: a child belongs to the thread that started it."""
    children: list[int] = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            children += map(int, tasks.read_text().split())
    return children


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_alive(pid: int) -> bool:
    """Ask each thread: the first may be gone while others still hold the ports."""
    return any(_runs(stat) for stat in Path(f"/proc/{pid}/task").glob("*/stat"))


def _runs(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
