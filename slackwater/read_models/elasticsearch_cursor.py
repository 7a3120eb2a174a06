"""The opaque cursor of a hit in Elasticsearch: its place, and the snapshot of its search.

A cursor is signed: the id of a snapshot names indexes and nodes of the cluster, and what comes back
from a client must not choose them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec

from slackwater.read_models.search_cursor import InvalidCursorError

_SIGNATURE_BYTES = 16
_LENGTH_MAX = 4_096
_PURPOSE = b"slackwater search cursor 1"


class SnapshotCursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The place of a hit in the order by falling score, then by id; None once not kept open."""

    index: str
    score: float
    id: str
    snapshot: str | None = None


class CursorSigner:
    """Makes and reads cursors with a secret that all gateways of an installation share."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, _PURPOSE, hashlib.sha256)

    def encode(self, cursor: SnapshotCursor) -> str:
        """Return URL-safe text; a snapshot whose id is too long is left out."""
        text = self._signed(cursor)
        return text if len(text) <= _LENGTH_MAX else self._signed(_without_snapshot(cursor))

    def decode(self, text: str, *, index: str) -> SnapshotCursor:
        """Read a cursor back.

        Raises:
            InvalidCursorError: it was not made by `encode` for a search of this index.
        """
        try:
            cursor = msgspec.msgpack.decode(self._verified(text), type=SnapshotCursor)
        except (ValueError, msgspec.MsgspecError):
            raise _broken() from None
        if cursor.index != index:
            raise _broken()
        return cursor

    def _verified(self, text: str) -> bytes:
        if len(text) > _LENGTH_MAX:
            raise _broken()
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(payload)):
            raise _broken()
        return payload

    def _signed(self, cursor: SnapshotCursor) -> str:
        payload = msgspec.msgpack.encode(cursor)
        return base64.urlsafe_b64encode(self._sign(payload) + payload).decode()

    def _sign(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, hashlib.sha256)[:_SIGNATURE_BYTES]


def _without_snapshot(cursor: SnapshotCursor) -> SnapshotCursor:
    return msgspec.structs.replace(cursor, snapshot=None)


def _broken() -> InvalidCursorError:
    return InvalidCursorError("the cursor is broken; search again from the start")
