"""Only what was started from here is ever stopped."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from deploy.engines import processes
from deploy.engines.processes import Process, log_tail, recorded, start, stop

SLEEPS = "import time; print('up', flush=True); time.sleep(60)"
IGNORES = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"


def until_up(folder: Path) -> None:
    while "up" not in log_tail(folder):  # the timeout of tests is the deadline
        pass


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Process]:
    process = start(tmp_path, [sys.executable, "-c", SLEEPS, str(tmp_path)], port=1)
    until_up(tmp_path)
    yield process
    if process.is_running():
        os.killpg(process.pid, signal.SIGKILL)


def remember(folder: Path, process: Process) -> None:
    (folder / "process.json").write_text(json.dumps(asdict(process)))


def test_a_started_process_is_found_again(tmp_path: Path, started: Process) -> None:
    assert recorded(tmp_path) == started


def test_a_stopped_process_is_no_longer_found(tmp_path: Path, started: Process) -> None:
    stop(started, ask_with=signal.SIGTERM, wait_s=10)
    assert recorded(tmp_path) is None
    stop(started, ask_with=signal.SIGTERM, wait_s=10)


def test_the_same_id_started_at_another_time_is_not_ours(tmp_path: Path, started: Process) -> None:
    remember(tmp_path, replace(started, started_ticks=started.started_ticks - 1))
    assert recorded(tmp_path) is None


def test_the_same_id_with_another_command_line_is_not_ours(
    tmp_path: Path, started: Process
) -> None:
    remember(tmp_path, replace(started, folder="/somewhere/else"))
    assert recorded(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"pid": 1, "unknown": 2}'])
def test_a_broken_record_is_no_process(tmp_path: Path, text: str) -> None:
    (tmp_path / "process.json").write_text(text)
    assert recorded(tmp_path) is None


def test_who_does_not_listen_is_ended_by_force(tmp_path: Path) -> None:
    process = start(tmp_path, [sys.executable, "-c", IGNORES, str(tmp_path)], port=1)
    until_up(tmp_path)
    stop(process, ask_with=signal.SIGTERM, wait_s=0.2)
    assert not process.is_running()


def test_the_log_keeps_what_was_said(tmp_path: Path, started: Process) -> None:
    assert log_tail(tmp_path) == "up"
    assert log_tail(tmp_path / "nowhere") == ""


def test_a_process_that_becomes_another_program_is_still_ours(
    tmp_path: Path, started: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command line is empty for a moment, as the kernel makes it."""
    monkeypatch.setattr(processes, "_command", lambda _: "")
    assert recorded(tmp_path) == started


def test_a_process_that_is_gone_is_not_ours(
    tmp_path: Path, started: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_command", lambda _: None)
    assert recorded(tmp_path) is None
