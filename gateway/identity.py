"""Relay's global ids and cursors: opaque to clients, checked when they come back."""

from __future__ import annotations

import base64
import binascii

import msgspec
from strawberry.relay.utils import from_base64, to_base64

from gateway.errors import BadUserInput

_CURSOR_LENGTH_MAX = 512


def global_id(type_name: str, key: str) -> str:
    """Return the id under which `node` finds the thing."""
    return to_base64(type_name, key)


def any_key(text: str) -> tuple[str, str]:
    """Return the type's name and the key of a global id.

    Raises:
        BadUserInput: it is no global id.
    """
    try:
        return from_base64(text)
    except ValueError as error:
        raise BadUserInput(f"{text!r} is no id; use one as the API returned it") from error


def key_of(text: str, type_name: str) -> str:
    """Return the key of a global id of one type.

    Raises:
        BadUserInput: it is no global id, or one of another type.
    """
    named, key = any_key(text)
    if named != type_name:
        raise BadUserInput(f"{text!r} is the id of a {named}; a {type_name} is wanted")
    return key


def key_if(text: str, type_name: str) -> str | None:
    """Return the key of a global id of one type; None for anything else."""
    try:
        named, key = any_key(text)
    except BadUserInput:
        return None
    return key if named == type_name else None


def cursor_of(list_name: str, *values: str) -> str:
    """Return the cursor of a row by the list that it stands in and its sort values."""
    content = msgspec.json.encode((list_name, *values))
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def values_of(cursor: str | None, list_name: str, count: int) -> tuple[str, ...] | None:
    """Return the sort values of a list's cursor.

    Raises:
        BadUserInput: it is none of our cursors, or one of another list.
    """
    if cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor[:_CURSOR_LENGTH_MAX] + "=" * (-len(cursor) % 4))
        values = msgspec.json.decode(raw, type=tuple[str, ...])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise BadUserInput("`after` is no cursor; use an endCursor as returned") from error
    if values[:1] != (list_name,) or len(values) != count + 1:
        raise BadUserInput("`after` is the cursor of another list; use one of this list")
    return values[1:]
