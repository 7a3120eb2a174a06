"""Keeps passwords out of what is printed: addresses hold them, and drivers quote addresses."""

from __future__ import annotations

import re

_HIDDEN = "***"
_IN_ADDRESS = re.compile(r"(://[^\s:/@]*):\S*@")
_AS_PARAMETER = re.compile(r"(password=)[^\s&]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """Return the text without the passwords of the addresses in it."""
    return _AS_PARAMETER.sub(rf"\1{_HIDDEN}", _IN_ADDRESS.sub(rf"\1:{_HIDDEN}@", text))
