"""Runs the containers of a compose file as processes of this machine, on engines that run already.

Each process gets its command and its environment from the file, and is started, waited for and
stopped as the file says. Without containers and their network, this differs and nothing else:

- `slackwater` is this environment's, psql this machine's, `is-healthy` deploy/is_healthy.py, and a
  mounted file is the one that is mounted.
- What the image brings is put in: unbuffered output, and a data folder, one for each container.
- Addresses of engines and of ours, and the ports of health checks, are those of `Places`; our ports
  begin elsewhere than at 8000 by one variable more (`SLACKWATER_PORT`).
- Engines are not started. They count as healthy.
- What confines a container (its user, its read-only files, its limits) is absent.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.compose_file import ComposeFile
from tests.end_to_end.places import ENGINES, Places

_ONCE_S = 120.0
_RUN_S = 120.0
_PAUSE_S = 0.2
_PROGRAMS = Path(sys.executable).parent
_IS_HEALTHY = Path(__file__).parents[2] / "deploy" / "is_healthy.py"


class Natively:
    """The running containers of a file."""

    def __init__(self, file: ComposeFile, places: Places, folder: Path) -> None:
        self._file = file
        self._places = places
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.exit_statuses: dict[str, int] = {}

    def start(self, name: str) -> None:
        """Start a container and all before it, each when what it waits for has come true."""
        for each in self._file.with_all_before(name):
            if each not in self._processes and each not in ENGINES:
                self._wait_for_all_before(each)
                self._processes[each] = self._start(each)

    def wait_healthy(self, name: str) -> None:
        """Run the container's health check until it is content, as long as the file allows."""
        check = self._file.services[name]["healthcheck"]
        tries_s = int(check["retries"]) * _seconds(check["interval"])
        give_up_s = time.monotonic() + _seconds(check["start_period"]) + tries_s
        while complaint := self._complaint(name):
            assert self._goes_on(name), f"{name} ended:\n{self.log(name)}"
            assert time.monotonic() < give_up_s, f"{name}: {complaint}\n{self.log(name)}"

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run another command in the container's place, as `docker compose run` does."""
        return subprocess.run(
            self._command(name, list(command)),
            cwd=self._folder,
            env=self.environment(name),
            capture_output=True,
            text=True,
            timeout=_RUN_S,
            check=False,
        )

    def stop(self, *names: str) -> None:
        """Ask containers to end, the last started first, one by one; each has its grace period."""
        for name in names or reversed([*self._processes]):
            self._processes[name].send_signal(signal.SIGTERM)
            self.exit_statuses[name] = self._ended(name)

    def kill(self) -> None:
        """End whatever still runs."""
        for process in self._processes.values():
            process.kill()
            process.wait()

    def environment(self, name: str) -> dict[str, str]:
        """Return everything that the container's process finds in its environment."""
        given = self._file.services[name]["environment"]
        return {
            "PATH": os.environ["PATH"],
            "PYTHONUNBUFFERED": "1",
            "SLACKWATER_DATA_DIR": str(self._folder / name),
            "SLACKWATER_PORT": str(self._places.port),
            **{key: self._places.here(value) for key, value in given.items()},
        }

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")[-8_000:]

    def _wait_for_all_before(self, name: str) -> None:
        for other, condition in self._file.conditions(name).items():
            if condition == "service_completed_successfully":
                self._wait_completed(other)
            elif other not in ENGINES:
                assert condition == "service_healthy"
                self.wait_healthy(other)

    def _wait_completed(self, name: str) -> None:
        status = self._processes[name].wait(_ONCE_S)
        assert status == 0, f"{name} ended with {status}:\n{self.log(name)}"

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                self._command(name, self._file.services[name]["command"]),
                cwd=self._folder,
                env=self.environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _command(self, name: str, command: list[str]) -> list[str]:
        service = self._file.services[name]
        if "build" in service:
            return [str(_PROGRAMS / "slackwater"), *command]
        program = shutil.which(command[0])
        assert program is not None, f"{command[0]} is missing; install PostgreSQL's client"
        mounted = {
            inside: str(self._file.folder / outside)
            for outside, inside, *_ in (volume.split(":") for volume in service["volumes"])
        }
        return [program, *(mounted.get(word, self._places.here(word)) for word in command[1:])]

    def _complaint(self, name: str) -> str | None:
        """Check the container's health once; return what it says when it is not well."""
        check = self._file.services[name]["healthcheck"]
        _, program, target = check["test"]
        assert program == "is-healthy"
        command = [sys.executable, str(_IS_HEALTHY), self._places.target(target)]
        timeout_s = _seconds(check["timeout"])
        try:
            said = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            return "the check took too long"
        return None if said.returncode == 0 else said.stdout + said.stderr

    def _goes_on(self, name: str) -> bool:
        """Give the process a moment, and tell whether it has not ended in it."""
        try:
            self._processes[name].wait(_PAUSE_S)
        except subprocess.TimeoutExpired:
            return True
        return False

    def _ended(self, name: str) -> int:
        grace_s = _seconds(self._file.services[name].get("stop_grace_period", "10s"))
        try:
            return self._processes[name].wait(grace_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{name} did not end in {grace_s} s:\n{self.log(name)}") from None


def _seconds(written: str) -> float:
    assert written.endswith("s"), f"{written} is not in seconds"
    return float(written.removesuffix("s"))
