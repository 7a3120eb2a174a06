"""Processes of engines: started apart from us, remembered in a file, and only these ever stopped.

A process is ours when its id, its start time and the folder on its command line are those that were
written down when it was started; an id alone is used again by the system.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.engines.errors import EngineError

_RECORD = "process.json"
_LOG = "server.log"
_ASK_S = 0.05
_KILL_S = 10.0


@dataclass(frozen=True)
class Process:
    """A process that was started from here, the leader of a group of its own."""

    pid: int
    started_ticks: int
    """Clock ticks from the machine's start to the process's."""
    folder: str
    """Stands on the command line."""
    port: int

    def is_running(self) -> bool:
        """Return whether this very process still runs."""
        if _started_ticks(self.pid) != self.started_ticks:
            return False
        command = _command(self.pid)
        return command is not None and (self.folder in command or not command)


def start(
    folder: Path,
    command: Sequence[str | Path],
    *,
    port: int,
    working_folder: Path | None = None,
    user: int | None = None,
    group: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Process:
    """Start an engine in a session of its own and write it down; its output goes to a log."""
    with (folder / _LOG).open("wb") as log:
        child = subprocess.Popen(  # noqa: S603 - our own commands only
            command,
            cwd=working_folder or folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )
    process = Process(child.pid, _started_ticks(child.pid) or 0, str(folder), port)
    child.returncode = 0  # it outlives us, nobody waits for it here
    _write(folder, process)
    return process


def recorded(folder: Path) -> Process | None:
    """Return the running process that was started in the folder, None when there is none."""
    try:
        process = Process(**json.loads((folder / _RECORD).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return process if process.is_running() else None


def stop(process: Process, *, ask_with: signal.Signals, wait_s: float) -> None:
    """Ask the process to end; after `wait_s` seconds end its whole group.

    Raises:
        EngineError: it cannot be ended.
    """
    try:
        os.kill(process.pid, ask_with)
        if not _ends(process, wait_s):
            os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError:
        raise EngineError(
            f"process {process.pid} belongs to another user; stop it as who started it"
        ) from None
    if not _ends(process, _KILL_S):
        raise EngineError(f"process {process.pid} cannot be ended; look at it with ps")


def log_tail(folder: Path, lines: int = 20) -> str:
    """Return the end of what the engine has said."""
    try:
        text = (folder / _LOG).read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _ends(process: Process, wait_s: float) -> bool:
    give_up_s = time.monotonic() + wait_s
    while process.is_running():
        if time.monotonic() > give_up_s:
            return False
        time.sleep(_ASK_S)
    return True


def _write(folder: Path, process: Process) -> None:
    new = folder / f"{_RECORD}.new"
    new.write_text(json.dumps(asdict(process)))
    new.rename(folder / _RECORD)


def _started_ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None when the process is gone or only waits to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])


def _command(pid: int) -> str | None:
    """None when the process is gone; empty for the moment in which it becomes another program."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return command.replace(b"\0", b" ").decode(errors="replace")
