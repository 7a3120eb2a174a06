"""What every search index asks of a row before it is written."""

from __future__ import annotations

import orjson

from slackwater.read_models.documents import RowWrite
from slackwater.read_models.search import Index, UnindexableRowError


def kind_and_json(index: Index, row: RowWrite) -> tuple[str, bytes]:
    """Return the kind of a row's document, and the document as JSON.

    Raises:
        UnindexableRowError: it has no kind, a field of the index is no text, or it is no JSON with
            integers of 64 bits.
    """
    kind = row.document.get("kind")
    if not isinstance(kind, str):
        raise UnindexableRowError(row, "its document has no kind")
    for field in index.fields:
        if not isinstance(row.document.get(field.name), str | None):
            raise UnindexableRowError(row, f"its {field.name} is no text")
    try:
        return kind, orjson.dumps(row.document)
    except TypeError as error:
        raise UnindexableRowError(row, error) from error
