"""Tells the user what happens, one line each, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable

Tell = Callable[[str], None]


def tell_about(engine: str) -> Tell:
    """Return a function that writes lines beginning with the name of the engine."""
    return lambda text: tell(f"{engine}: {text}")


def tell(text: str) -> None:
    """Write a line in one piece, so that those of several threads do not mix."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
