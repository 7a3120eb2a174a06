"""The real engines that tests may use: found by environment, as `make engines` prints it.

Their addresses are taken out of the environment, so that nothing that a test starts uses a real
engine unless the test says so.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Mapping

import pytest

NAMES = ("postgresql", "kafka", "mongodb", "elasticsearch")

_URLS = {name: os.environ.pop(f"SLACKWATER_{name.upper()}_URL", None) for name in NAMES}


def engine_url(name: str) -> str:
    """Return where the engine runs; only for tests marked with `engine(name)`."""
    url = _URLS[name]
    assert url is not None, f"the test lacks the mark engine({name!r})"
    return url


def missing(name: str) -> str | None:
    """Say why a test that needs the engine cannot run; None when it can."""
    if _URLS.get(name) is not None:
        return None
    return f"SLACKWATER_{name.upper()}_URL is not set; `make engines` starts {name} and prints it"


def on_all_engines() -> list[pytest.MarkDecorator]:
    """Return the marks of a test that needs every engine."""
    return [pytest.mark.engine(name) for name in NAMES]


def as_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of an installation by their names in Python."""
    return {name.removeprefix("SLACKWATER_").lower(): each for name, each in environment.items()}


def engine_settings(names: Collection[str] = NAMES) -> dict[str, str]:
    """Return the environment of a new installation on real engines, with names of its own."""
    urls = {f"SLACKWATER_{name.upper()}_URL": engine_url(name) for name in names}
    return {**urls, "SLACKWATER_NAMESPACE": f"test_{secrets.token_hex(4)}"}
