"""Bulk writes: their lines, and what the reply says of each row.

The version that guards a row is its aggregate's, kept by Elasticsearch itself: an older write is
refused whoever sends it and whenever it arrives. Rows of one bulk succeed or fail one by one; so
whatever went wrong, the whole bulk may be repeated, and what was written is refused as not newer.

A refusal says what the primary has, and not that any other copy has it: what is stored may be of a
write that was never acknowledged, and go with the primary. So it is written back, which is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from slackwater.read_models.documents import RowWrite
from slackwater.read_models.elasticsearch_errors import Failure, error_of, failure
from slackwater.read_models.elasticsearch_mapping import TEXTS
from slackwater.read_models.elasticsearch_query import indexed_text
from slackwater.read_models.search import Index, UnindexableRowError
from slackwater.read_models.search_row import kind_and_json

_BULK_BYTES_MAX = 1_000_000  # aiohttp warns of bodies that hold up the event loop from 1 MiB on
_ID_BYTES_MAX = 512
_NOT_NEWER = 409
_POISON = frozenset(
    {
        "document_parsing_exception",
        "illegal_argument_exception",
        "mapper_parsing_exception",
        "parsing_exception",
        "x_content_parse_exception",
    }
)


class Bulk:
    """The rows of one request with their lines."""

    def __init__(self) -> None:
        self.rows: list[RowWrite] = []
        self.lines: list[bytes] = []
        self._bytes = 0

    def has_room_for(self, lines: Sequence[bytes]) -> bool:
        return not self.rows or self._bytes + _length(lines) <= _BULK_BYTES_MAX

    def add(self, row: RowWrite, lines: Sequence[bytes]) -> None:
        self.rows.append(row)
        self.lines += lines
        self._bytes += _length(lines)


def bulks_of(
    index: Index, rows: Sequence[RowWrite], *, writes_back: bool = False
) -> Iterator[Bulk]:
    """Yield the rows in order, in requests of bounded size; a greater row has its own.

    What is written back takes the place of the same version, too.
    """
    bulk = Bulk()
    for row in rows:
        lines = _lines(index, row, "external_gte" if writes_back else "external")
        if not bulk.has_room_for(lines):
            yield bulk
            bulk = Bulk()
        bulk.add(row, lines)
    if bulk.rows:
        yield bulk


def refused_of(
    index: str, rows: Sequence[RowWrite], items: Sequence[Mapping[str, Any]]
) -> list[RowWrite]:
    """Judge the reply to a bulk; trouble that passes comes first, because all is repeated then.

    Returns:
        The rows that are not newer than what the primary has.

    Raises:
        SearchUnavailableError: a row was not written and can be, later.
        UnindexableRowError: a row can never be written.
        StructuralError: no row can be written.
    """
    failed = list(_failures(rows, items))
    for _, failed_row in failed:
        if failed_row.passes:
            raise error_of(index, failed_row)
    for row, failed_row in failed:
        if failed_row.type in _POISON:
            raise UnindexableRowError(row, failed_row.reason)
        raise error_of(index, failed_row)
    return [row for row, item in zip(rows, items, strict=True) if _is_refused(item)]


def _is_refused(item: Mapping[str, Any]) -> bool:
    return bool(item["index"]["status"] == _NOT_NEWER)


def _failures(
    rows: Sequence[RowWrite], items: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[RowWrite, Failure]]:
    for row, item in zip(rows, items, strict=True):
        result = item["index"]
        if "error" in result and not _is_refused(item):
            yield row, failure(result["status"], result["error"])


def _lines(index: Index, row: RowWrite, version_type: str) -> list[bytes]:
    kind, document = kind_and_json(index, row)
    if not 0 < len(row.id.encode()) <= _ID_BYTES_MAX:  # it would have the whole bulk refused
        raise UnindexableRowError(row, f"its id is empty or longer than {_ID_BYTES_MAX} bytes")
    action = {"_id": row.id, "version": row.version, "version_type": version_type}
    stored = {
        "id": row.id,
        "kind": kind,
        "document": orjson.Fragment(document),
        TEXTS: {
            field.name: indexed_text(row.document.get(field.name) or "") for field in index.fields
        },
    }
    return [orjson.dumps({"index": action}), orjson.dumps(stored)]


def _length(lines: Sequence[bytes]) -> int:
    return sum(map(len, lines))
