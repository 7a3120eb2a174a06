"""Keys of documents that MongoDB does not take as they are, quoted and restored.

A key that begins with a dollar sign or holds a dot reads like an operator or a path, and `$ref`
makes the driver decode a reference. Such keys are quoted with percent signs; no path of a query can
name one of them. A document without them, which is nearly every one, is stored as it is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import unquote

_EMPTY = "%"
_KEYS_REMEMBERED = 4096
_QUOTES = str.maketrans({"%": "%25", "$": "%24", ".": "%2E", "\x00": "%00"})
_QUOTED = frozenset("%$.\x00")


def needs_quoting(value: Any) -> bool:
    """Return whether a key somewhere in the value has to be quoted."""
    if isinstance(value, dict):
        return any(map(_is_quotable, value)) or any(map(needs_quoting, value.values()))
    return isinstance(value, list) and any(map(needs_quoting, value))


def quoted(value: Any) -> Any:
    """Return the value with all its keys quoted."""
    if isinstance(value, dict):
        return {key.translate(_QUOTES) or _EMPTY: quoted(inner) for key, inner in value.items()}
    return [quoted(inner) for inner in value] if isinstance(value, list) else value


def restored(value: Any) -> Any:
    """Return what was quoted."""
    if isinstance(value, dict):
        return {_restored_key(key): restored(inner) for key, inner in value.items()}
    return [restored(inner) for inner in value] if isinstance(value, list) else value


@lru_cache(maxsize=_KEYS_REMEMBERED)
def _is_quotable(key: str) -> bool:
    return not key or not _QUOTED.isdisjoint(key)


def _restored_key(key: str) -> str:
    return "" if key == _EMPTY else unquote(key)
