"""Response paths: an answer's, with list indices, and a plan's, without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def occurs(data: Any, steps: Sequence[str | int]) -> bool:
    """Tell whether an answer has this path; without an index, whether any list item has it."""
    for depth, step in enumerate(steps):
        if isinstance(data, list) and isinstance(step, str):
            return any(occurs(item, steps[depth:]) for item in data)
        if not (step in data if isinstance(data, dict) else _has_index(data, step)):
            return False
        data = data[step]
    return True


def _has_index(data: Any, step: str | int) -> bool:
    return isinstance(data, list) and isinstance(step, int) and step < len(data)


def prefixes(steps: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Return a path and all above it, the longest first."""
    return (steps[:length] for length in range(len(steps), 0, -1))


def _flat(values: list[Any]) -> list[Any]:
    """Return the items of lists in lists; nothing deeper than a client could select."""
    flat: list[Any] = []
    for value in values:
        flat.extend(_flat(value) if isinstance(value, list) else [value])
    return flat
