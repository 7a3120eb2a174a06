"""Response paths: an answer's, with list indices, and a plan's, without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphql.pyutils import Path

Keys = tuple[str, ...]
Steps = tuple[str | int, ...]


def keys_of(path: Path | None) -> Keys:
    """Return the response keys of a path, without list indices."""
    keys: list[str] = []
    while path is not None:
        if isinstance(path.key, str):
            keys.append(path.key)
        path = path.prev
    return tuple(reversed(keys))


def steps_of(path: Path | None) -> Steps:
    """Return the whole path, list indices included."""
    return tuple(path.as_list()) if path is not None else ()


def without_indices(steps: Steps) -> Keys:
    return tuple(step for step in steps if isinstance(step, str))


def count_at(data: Any, keys: Sequence[str]) -> int:
    """Count the places of an answer that have these response keys, over all list items."""
    found = [data]
    for key in keys:
        found = [item[key] for item in _flat(found) if isinstance(item, dict) and key in item]
    return len(found)


def _flat(values: list[Any]) -> list[Any]:
    """Return the items of lists in lists; nothing deeper than a client could select."""
    flat: list[Any] = []
    for value in values:
        flat.extend(_flat(value) if isinstance(value, list) else [value])
    return flat
