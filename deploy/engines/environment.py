"""The settings by which Slackwater finds the engines, as lines and as a file to be sourced."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

FILE = "engines.env"


def lines(settings: Mapping[str, str]) -> str:
    """Return `NAME=value`, one a line."""
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def sourced(settings: Mapping[str, str]) -> str:
    """Return the text of a file that a shell can source."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())


def write(folder: Path, settings: Mapping[str, str]) -> Path:
    """Write the file for its owner alone (it may hold a password); return its path."""
    path, new = folder / FILE, folder / f"{FILE}.new"
    new.touch(mode=0o600)
    new.write_text(sourced(settings))
    new.rename(path)
    return path
