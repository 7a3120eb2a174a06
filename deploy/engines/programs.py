"""Finds programs; on Debian, root has missing ones installed, others are told what to install."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from deploy.engines.downloads import cache_folder
from deploy.engines.errors import FetchError, MissingProgramError
from deploy.engines.lock import locked
from deploy.engines.tell import tell

_INSTALL_S = 900.0


def program(name: str, *, package: str) -> Path:
    """Return the path of a program; `package` is the Debian package that has it.

    Raises:
        MissingProgramError: it is not there and cannot be installed from here.
    """
    return found_or_installed(lambda: _which(name), name, package)


def found_or_installed(find: Callable[[], Path | None], name: str, package: str) -> Path:
    """Return what `find` finds, if need be after the package was installed."""
    found = find()
    if found is None and os.geteuid() == 0 and _which("apt-get"):
        _install(package)
        found = find()
    if found is None:
        raise MissingProgramError(
            f"{name} is missing; install it (on Debian, as root: apt-get install {package})"
        )
    return found


def _install(package: str) -> None:
    lock = cache_folder() / "apt-get.lock"
    with locked(lock, wait_s=_INSTALL_S, on_wait=lambda: tell("waiting for another apt-get")):
        tell(f"installing {package} with apt-get; this may take some minutes")
        _apt_get("update")
        _apt_get("install", "--yes", "--no-install-recommends", package)


def _apt_get(*arguments: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own commands only
        ["/usr/bin/apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        timeout=_INSTALL_S,
        check=False,
    )
    if done.returncode != 0:
        raise FetchError(f"apt-get {arguments[0]} failed; mend this and try again:\n{done.stderr}")


def _which(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None
