"""Engines that nothing else uses, so that a test may kill and pause them.

They run from a folder and on ports of their own; the engines that other tests share stay untouched.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deploy.engines import family
from deploy.engines.local import LocalEngines
from tests.end_to_end.harness import free_port_block
from tests.engines import NAMES

_PLACES = {"postgresql": 0, "kafka": 1, "mongodb": 3, "elasticsearch": 4}  # Kafka takes two ports
_ANYBODY_MAY_TRAVERSE = 0o711


class OwnEngines:
    """A second set of engines, all four."""

    def __init__(self, folder: Path) -> None:
        base = free_port_block()
        self._engines = LocalEngines(folder, {name: base + at for name, at in _PLACES.items()})

    def up(self, *names: str) -> None:
        """Start those that do not run, and wait until each answers."""
        self._engines.up(names or NAMES)

    def kill(self, name: str) -> None:
        """`kill -9` of the whole engine."""
        self._engines.kill([name])

    def down(self) -> None:
        self._engines.down(NAMES)

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """The engine stands still and keeps its connections: nobody answers, nobody refuses."""
        pid = self._engines.status([name])[name].pid
        assert pid is not None, f"{name} does not run"
        family.pause(pid)
        try:
            yield
        finally:
            family.resume(pid)

    def settings(self) -> dict[str, str]:
        """Return the environment of a new installation on these engines."""
        return {
            **self._engines.settings(),
            "SLACKWATER_NAMESPACE": f"test_{secrets.token_hex(4)}",
        }


@contextlib.contextmanager
def running_engines() -> Iterator[OwnEngines]:
    """Start a set of engines in a folder that their own users can reach; remove all at the end."""
    folder = Path(tempfile.mkdtemp(prefix="slackwater-engines-"))
    folder.chmod(_ANYBODY_MAY_TRAVERSE)
    engines = OwnEngines(folder)
    try:
        engines.up()
        yield engines
    finally:
        engines.down()
        shutil.rmtree(folder, ignore_errors=True)
