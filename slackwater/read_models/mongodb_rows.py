"""Rows as MongoDB keeps them, and the writes that carry their guards.

A row is `{_id, version, visible, revision, document}`, and `quoted` where keys of the document had
to be quoted. `visible` says whether the row's own aggregate has been applied.

A prepared collection holds a mark, which is no row. The server makes a collection that is written
to and does not exist; without its mark, it is not taken for the one that was dropped or lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bson
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne, UpdateOne

from slackwater.read_models.documents import Document, Row, RowWrite, UnstorableDocumentError
from slackwater.read_models.mongodb_database import Stored
from slackwater.read_models.mongodb_keys import needs_quoting, quoted, restored

_BYTES_MAX = 16 * 1024 * 1024 - 16 * 1024
"""The server's limit of a document, less what a row adds to it."""

GuardedWrite = InsertOne[Stored] | UpdateOne

MARK: Stored = {"_id": 0, "visible": None}
"""No row has a number for an id, and no row, not even an invisible one, is neither of the two."""


def guarded_writes(rows: Sequence[RowWrite]) -> list[GuardedWrite]:
    """Return writes that the server does only at the expected revisions, as one kind of request.

    No row is at revision 0, so that an upsert there inserts one, and is refused where it exists.

    Raises:
        UnstorableDocumentError: a document is too large, or no JSON with integers of 64 bits.
    """
    if all(each.expected_revision == 0 for each in rows):
        return [InsertOne({"_id": each.id, "revision": 1, **_fields(each)}) for each in rows]
    return [
        UpdateOne(
            {"_id": each.id, "revision": each.expected_revision},
            {"$set": _fields(each), "$inc": {"revision": 1}},
            upsert=each.expected_revision == 0,
        )
        for each in rows
    ]


def row(stored: Stored) -> Row:
    """Return the row that was stored."""
    document: Document = stored["document"]
    return Row(
        id=stored["_id"],
        version=stored["version"],
        revision=stored["revision"],
        document=restored(document) if stored["quoted"] else document,
    )


def _fields(write: RowWrite) -> dict[str, Any]:
    is_quoted = needs_quoting(write.document)
    return {
        "version": write.version,
        "visible": write.version >= 1,
        "quoted": is_quoted,
        "document": _encoded(write, quoted(write.document) if is_quoted else write.document),
    }


def _encoded(write: RowWrite, document: Document) -> RawBSONDocument:
    """Encode the document once and by itself, so that an error can name its row."""
    try:
        encoded = bson.encode(document)
    except (BSONError, OverflowError, RecursionError, UnicodeEncodeError) as error:
        raise UnstorableDocumentError(write, error) from error
    if len(encoded) > _BYTES_MAX:
        raise UnstorableDocumentError(write, f"{len(encoded)} bytes, and {_BYTES_MAX} at most")
    return RawBSONDocument(encoded)
