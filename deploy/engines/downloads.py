"""The cache of what is fetched: each thing once, whole or not at all, checked before it is used.

A thing is made in a folder beside its own and renamed when it is complete, so that an interruption
leaves nothing that looks finished; what a registry's client has fetched by then is kept in a third
folder, so that it goes on from there. Two starts at once wait for each other; a registry's client
keeps the lock when the start that called it is killed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.engines.errors import DigestError, FetchError
from deploy.engines.lock import locked
from deploy.engines.tell import Tell

_FETCH_S = 1800.0
_TELL_EVERY_S = 5.0
_SHOWN_LINES = 15
_MEGABYTE = 1_000_000

Size = Callable[[], int]


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where this user's downloads are kept."""
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).resolve() / "slackwater" / "engines"


class Fetching:
    """One thing on its way into the cache: its `folder`, and `parts` that outlive a failure."""

    def __init__(self, folder: Path, parts: Path, lock: int, tell: Tell) -> None:
        self.folder = folder
        self.parts = parts
        self._lock = lock
        self._tell = tell

    def run(
        self,
        command: Sequence[str | Path],
        what: str,
        *,
        size: Size | None = None,
        total_bytes: int | None = None,
    ) -> None:
        """Run a registry's client and tell how far it is.

        Raises:
            FetchError: it failed or took longer than half an hour.
        """
        with tempfile.TemporaryFile("w+") as output:
            client = subprocess.Popen(  # noqa: S603 - our own commands only
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                pass_fds=[self._lock],
            )  # fmt: skip
            status = self._follow(client, what, size, total_bytes)
            if status != 0:
                output.seek(0)
                tail = "\n".join(output.read().splitlines()[-_SHOWN_LINES:])
                raise FetchError(f"cannot fetch {what}; mend this and try again:\n{tail}")

    def _follow(
        self, client: subprocess.Popen[bytes], what: str, size: Size | None, total: int | None
    ) -> int:
        began_s = time.monotonic()
        while (seconds := time.monotonic() - began_s) < _FETCH_S:
            self._tell(progress_line(what, size() if size else None, total, seconds))
            try:
                return client.wait(_TELL_EVERY_S)
            except subprocess.TimeoutExpired:
                continue
        client.kill()
        raise FetchError(f"{what} was not fetched in {_FETCH_S:.0f} s; try again, it goes on")


class Cache:
    """The folder of everything that was fetched, shared by all projects of a user."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self.folder = folder
        self._tell = tell

    def once(self, name: str, make: Callable[[Fetching], None]) -> Path:
        """Return the folder `name`; `make` fills it if it is not there yet."""
        finished = self.folder / name
        if finished.is_dir():
            return finished
        with locked(self.folder / f"{name}.lock", wait_s=_FETCH_S, on_wait=self._waits) as lock:
            if not finished.is_dir():
                self._make(name, lock, make)
        return finished

    def _make(self, name: str, lock: int, make: Callable[[Fetching], None]) -> None:
        unfinished, parts = (self.folder / f"{name}.{kind}" for kind in ("unfinished", "parts"))
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        try:
            make(Fetching(unfinished, parts, lock, self._tell))
        except DigestError:
            shutil.rmtree(parts, ignore_errors=True)
            raise
        unfinished.rename(self.folder / name)
        shutil.rmtree(parts, ignore_errors=True)

    def _waits(self) -> None:
        self._tell("another start is fetching it; waiting for that")


def progress_line(what: str, done: int | None, total: int | None, seconds: float) -> str:
    """Return how far something is, with units."""
    if done is None or total is None:
        return f"fetching {what}, {seconds:.0f} s"
    done = min(done, total)
    return (
        f"fetching {what}, {done / _MEGABYTE:.0f} of {total / _MEGABYTE:.0f} MB, "
        f"{100 * done // total} %, {seconds:.0f} s"
    )


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder, 0 where there is none."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(path) / name).stat().st_size
            except FileNotFoundError:  # renamed between listing and asking
                continue
    return total
