"""What every engine knows of itself: how to get it, start it, and ask whether it is ready."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from deploy.engines.downloads import Cache, cache_folder
from deploy.engines.errors import FolderError
from deploy.engines.tell import tell_about

_ANYBODY_MAY_TRAVERSE = 0o001


@dataclass(frozen=True)
class User:
    """Whom an engine runs as where it may not run as root."""

    uid: int
    gid: int


class Engine(ABC):
    """One engine of an installation, its data in a folder of its own."""

    name: ClassVar[str]
    setting: ClassVar[str]
    service: ClassVar[str]
    """Its name in compose.yaml."""
    default_port: ClassVar[int]
    tested_on: ClassVar[str]
    """What the tests of Slackwater run on, with its version."""
    ask_to_end_with: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.tell = tell_about(self.name)
        self.cache = Cache(cache_folder(), self.tell)

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port that it listens on."""
        return (self.port,)

    @property
    @abstractmethod
    def url(self) -> str:
        """How Slackwater reaches it."""

    @abstractmethod
    def install(self) -> None:
        """Get the program if it is not there yet."""

    @abstractmethod
    def prepare(self) -> None:
        """Make data and configuration; harmless when they are there."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the command line; the folder stands on it."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether it answers a question; raise OSError while nobody listens."""

    @property
    def working_folder(self) -> Path:
        """Where its process runs."""
        return self.folder

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def user(self) -> User | None:
        """Return whom it must run as; None means as who starts it."""
        return None


def give_to(user: User | None, folder: Path) -> None:
    """Give a folder with all that is in it to the engine's user.

    Raises:
        FolderError: the user cannot reach it.
    """
    if user is None:
        return
    for parent in folder.resolve().parents:
        if not parent.stat().st_mode & _ANYBODY_MAY_TRAVERSE:
            raise FolderError(
                f"{folder} cannot be reached by user id {user.uid}, as which the engine must run, "
                f"because {parent} is private; set SLACKWATER_ENGINES_DIR to another folder, "
                "such as /var/tmp/slackwater-engines"
            )
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.uid, user.gid, follow_symlinks=False)
