"""Runs `slackwater doctor` as a user would, and reads what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

TIMEOUT_S = 100


@dataclass(frozen=True)
class Diagnosis:
    """What `--json` said."""

    status: int
    report: dict[str, Any]

    def finding(self, subject: str, check: str) -> dict[str, Any]:
        """Return one finding by its stable names."""
        [found] = [each for each in self.subject(subject) if each["check"] == check]
        return found

    def subject(self, name: str) -> list[dict[str, Any]]:
        [subject] = [each for each in self.report["subjects"] if each["name"] == name]
        findings: list[dict[str, Any]] = subject["findings"]
        return findings

    def broken(self) -> list[tuple[str, str, str]]:
        """Return what is broken, with what was found."""
        return [
            (subject["name"], finding["check"], finding["found"])
            for subject in self.report["subjects"]
            for finding in subject["findings"]
            if finding["verdict"] == "broken"
        ]


def diagnose(
    data_dir: Path,
    *arguments: str,
    settings: Mapping[str, str] | None = None,
    wrapped_in: tuple[str, ...] = (),
) -> Diagnosis:
    """Return the report; nothing may be said beside it."""
    ran = run_doctor(data_dir, "--json", *arguments, settings=settings, wrapped_in=wrapped_in)
    assert ran.stderr == ""
    return Diagnosis(ran.returncode, orjson.loads(ran.stdout))


def run_doctor(
    data_dir: Path,
    *arguments: str,
    settings: Mapping[str, str] | None = None,
    wrapped_in: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = (sys.executable, "-m", "slackwater.command_line", "doctor")
    return subprocess.run(
        [*wrapped_in, *command, "--data-dir", str(data_dir), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env={**os.environ, **(settings or {})},
    )
