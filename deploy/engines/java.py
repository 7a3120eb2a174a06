"""Finds a Java that is new enough."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

_PLACES = ("/usr/lib/jvm", "/usr/java", "/opt/java", "/opt")
_VERSION = re.compile(r'^JAVA_VERSION="(\d+)', re.MULTILINE)


def find_java(
    version_min: int, *, full_jdk: bool = False, variable: str = "JAVA_HOME"
) -> Path | None:
    """Return the home of a Java of at least this version, of several the newest.

    One named by the environment variable is preferred; `full_jdk` leaves out mere runtimes.
    """
    chosen = os.environ.get(variable)
    if chosen and _fits(Path(chosen), version_min, full_jdk):
        return Path(chosen)
    fitting = [home for home in _homes() if _fits(home, version_min, full_jdk)]
    return max(fitting, key=_version, default=None)


def _homes() -> Iterator[Path]:
    java = shutil.which("java")
    if java:
        yield Path(java).resolve().parents[1]
    for place in map(Path, _PLACES):
        yield from place.glob("*/")


def _fits(home: Path, version_min: int, full_jdk: bool) -> bool:
    program = home / "bin" / ("javac" if full_jdk else "java")
    return program.is_file() and _version(home) >= version_min


def _version(home: Path) -> int:
    try:
        found = _VERSION.search((home / "release").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0
