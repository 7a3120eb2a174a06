"""What every store checks of a find before it asks its engine, and what a prefix means.

Names and paths are checked before they become part of a statement; values are parameters always.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from slackwater.errors import StructuralError
from slackwater.read_models.documents import Find, Sort

_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_PATH = re.compile(rf"{_NAME.pattern}(\.{_NAME.pattern})*")
_LAST_CHARACTER = chr(0x10FFFF)


class InvalidQueryError(StructuralError):
    """A find or an index that the store cannot express; mend the query."""


def checked_name(collection: str) -> str:
    """Return the name of a collection.

    Raises:
        InvalidQueryError: the name is not lower case with underscores.
    """
    if not _NAME.fullmatch(collection):
        raise InvalidQueryError(f"{collection!r} cannot name a collection; use a-z, 0-9 and _")
    return collection


def checked_path(path: str) -> str:
    """Return a dotted path.

    Raises:
        InvalidQueryError: a step of the path is not lower case with underscores.
    """
    if not _PATH.fullmatch(path):
        raise InvalidQueryError(f"{path!r} is no path; use a-z, 0-9 and _, joined by dots")
    return path


def is_descending(order: Sequence[Sort]) -> bool:
    """Return the direction that all sort keys have.

    Raises:
        InvalidQueryError: there is no sort key, or their directions differ.
    """
    directions = {sort.descending for sort in order}
    if len(directions) != 1:
        raise InvalidQueryError("a find needs sort keys of one direction; give all the same")
    return directions.pop()


def checked_after(query: Find, after: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the sort values behind which a page begins.

    Raises:
        InvalidQueryError: there is not one value, other than null, for each sort key.
    """
    if len(after) != len(query.order) or None in after:
        raise InvalidQueryError("`after` needs one value, not null, for each sort key")
    return after


def prefix_range(prefix: str) -> tuple[str, str | None]:
    """Return the first text with this prefix and the first one behind all of them, if any.

    Text is ordered by code points, so an index serves a prefix as a range.
    """
    stem = prefix.rstrip(_LAST_CHARACTER)
    return prefix, stem[:-1] + _next_character(stem[-1]) if stem else None


def _next_character(character: str) -> str:
    # U+D800 to U+DFFF are no characters: they cannot be encoded.
    return "\ue000" if character == "\ud7ff" else chr(ord(character) + 1)
