"""The opaque cursor of a search hit: its score and id, by which the next page goes on."""

from __future__ import annotations

import base64

import msgspec

from slackwater.errors import SlackwaterError


class InvalidCursorError(SlackwaterError, ValueError):
    """A search cursor is broken; search again from the first page."""

    code = "BAD_USER_INPUT"


class SearchCursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The place of a hit in the order by falling score, then by id."""

    score: float
    id: str


def encode_cursor(cursor: SearchCursor) -> str:
    """Return text that may stand in a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode()


def decode_cursor(text: str) -> SearchCursor:
    """Read a cursor back.

    Raises:
        InvalidCursorError: it was not made by `encode_cursor`.
    """
    try:
        packed = base64.b64decode(text, altchars=b"-_", validate=True)
        return msgspec.json.decode(packed, type=SearchCursor)
    except (ValueError, msgspec.DecodeError):
        raise InvalidCursorError("the cursor is broken; search again from the start") from None
