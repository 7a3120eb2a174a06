"""Switches between the oracle and the processes it watches: files in a folder, on while there."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER_SETTING = "ORACLE_SWITCHES"
SAFEGUARDS_OFF_SETTING = "ORACLE_SAFEGUARDS_OFF"
LEASE_FREE_SETTING = "ORACLE_LEASE_FREE"


class Switches:
    """Named switches; whoever takes one turns it off, and nobody else gets it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._prefix = f"{folder}{os.sep}"

    @property
    def folder(self) -> Path:
        return self._folder

    def turn_on(self, name: str) -> None:
        (self._folder / name).touch()

    def turn_off(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def is_on(self, name: str) -> bool:
        # Every look at a clock asks this, so that a path for each would cost what is measured.
        return os.path.exists(self._prefix + name)

    def take(self, name: str) -> bool:
        """Turn it off, and say whether it was on."""
        try:
            (self._folder / name).unlink()
        except FileNotFoundError:
            return False
        return True
