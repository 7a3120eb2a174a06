"""Search read models in an SQLite file with FTS5.

The file waits for the disk at every write, because the progress that covers these writes is kept
in another file: a power failure that took a write and left its progress would lose the event. Where
one of the files is put back to a backup without the other, stamps tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import orjson

from slackwater.errors import StructuralError
from slackwater.read_models import sqlite_stamps
from slackwater.read_models.documents import Row, RowWrite
from slackwater.read_models.search import (
    ChangedIndexError,
    Hit,
    Index,
    LostWritesError,
    SavedStamp,
    SearchCapability,
    SearchRequest,
    SearchResult,
    UnconfirmedError,
    UnknownIndexError,
    no_stamp,
)
from slackwater.read_models.search_cursor import SearchCursor, decode_cursor, encode_cursor
from slackwater.read_models.search_row import kind_and_json
from slackwater.read_models.search_text import MARK_BEGIN, MARK_END, indexed_text, marked_html
from slackwater.read_models.sqlite_match import match_expression
from slackwater.sqlite.driver import Connection, Synchronous
from slackwater.sqlite.file import SqliteFile

T = TypeVar("T")

_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_SNIPPET_TOKENS_MAX = 32

_CREATE_INDEXES = """
    CREATE TABLE IF NOT EXISTS search_indexes (name TEXT PRIMARY KEY, definition TEXT NOT NULL)
"""
_HAS_INDEXES = "SELECT 1 FROM sqlite_schema WHERE name = 'search_indexes'"
_DEFINITION = "SELECT definition FROM search_indexes WHERE name = ?"
_DEFINE = """
    INSERT INTO search_indexes (name, definition) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET definition = excluded.definition
"""
_FORGET = "DELETE FROM search_indexes WHERE name = ?"


class _Match(NamedTuple):
    place: int
    id: str
    kind: str
    score: float


class SqliteSearchIndex:
    """Search indexes in one file; several processes may have it open at once."""

    capabilities = frozenset({SearchCapability.STEADY_SCORES})

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, Synchronous.FULL)
        self._known: dict[str, str] = {}

    async def prepare(self, index: Index, *, may_create: bool = True) -> None:
        """Create the index if it is missing; new boosts replace the old ones.

        Raises:
            ChangedIndexError: the index exists with other fields.
            UnknownIndexError: it is missing, and may not be created.
        """
        await self._file.write(lambda connection: _prepare(connection, index, may_create))

    async def get(self, index: str, ids: Sequence[str]) -> dict[str, Row]:
        wanted = orjson.dumps(list(ids)).decode()
        return await self._read(index, lambda connection, _: _get(connection, index, wanted))

    async def write(self, index: str, rows: Sequence[RowWrite]) -> None:
        def work(connection: Connection) -> None:
            definition = _definition(connection, index)
            for row in rows:
                _write(connection, definition, row)
            sqlite_stamps.count_write(connection, index)

        if rows:
            await self._file.write(work)

    async def confirm(self, index: str, read: Mapping[str, int]) -> None:
        """See that it is there: what is read has been committed, to the only copy.

        Raises:
            UnconfirmedError: a document is gone, or older than it was.
        """
        stored = await self.get(index, [*read])
        for row_id, version in read.items():
            if row_id not in stored or stored[row_id].version < version:
                raise UnconfirmedError(index, row_id)

    async def refresh(self, index: str, saved: SavedStamp = no_stamp) -> str:
        """Return a stamp of what is committed: FTS5 shows it to searches at once.

        Raises:
            LostWritesError: the index does not have what it had at a stamp before.
        """
        self._know(index, await saved() or "")
        known = self._known.get(index)  # of before the snapshot: others may refresh meanwhile
        found = await self._read(
            index, lambda connection, _: sqlite_stamps.shown(connection, index)
        )
        if found.lacks(known):
            await self._file.write(lambda connection: sqlite_stamps.mark_lost(connection, index))
            raise LostWritesError(index)
        self._know(index, found.stamp)
        return found.stamp

    def resume(self, index: str, stamp: str) -> None:
        self._known[index] = stamp

    def _know(self, index: str, stamp: str) -> None:
        self._known[index] = max(stamp, self._known.get(index, ""))

    async def search(self, request: SearchRequest) -> SearchResult:
        """Search the index.

        Raises:
            InvalidCursorError: `after` is no cursor of a hit.
            PartialResultError: the index was put back to a backup.
        """
        after = None if request.after is None else decode_cursor(request.after)
        expression = match_expression(request.text)
        if expression is None:
            return SearchResult(hits=[], total=0)
        return await self._read(
            request.index,
            lambda connection, index: _search(connection, index, request, expression, after),
        )

    async def count(self, index: str, stamp: str | None = None) -> int:
        def work(connection: Connection, _: Index) -> int:
            sqlite_stamps.require_stamp(connection, index, stamp)
            return _count(connection, index)

        return await self._read(index, work)

    async def drop(self, index: str) -> None:
        self._known.pop(index, None)
        await self._file.write(lambda connection: _drop(connection, index))

    async def close(self) -> None:
        await self._file.close()

    async def _read(self, index: str, work: Callable[[Connection, Index], T]) -> T:
        return await self._file.read(
            lambda connection: work(connection, _definition(connection, index))
        )


def _prepare(connection: Connection, index: Index, may_create: bool) -> None:
    connection.execute(_CREATE_INDEXES)
    stored = _stored_definition(connection, index.name)
    if stored is None:
        if not may_create:
            raise UnknownIndexError(index.name)
        sqlite_stamps.forget(connection, index.name)  # of one that was dropped
        for statement in _create_statements(index):
            connection.execute(statement)
    elif _field_names(stored) != _field_names(index):
        raise ChangedIndexError(index.name)
    if stored != index:
        connection.execute(_DEFINE, (index.name, msgspec.json.encode(index).decode()))


def _create_statements(index: Index) -> list[str]:
    columns = ", ".join(_checked(name) for name in _field_names(index))
    return [
        f"""
        CREATE TABLE {_documents(index.name)} (
            place INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            version INTEGER NOT NULL,
            document TEXT NOT NULL
        )
        """,
        f"""
        CREATE VIRTUAL TABLE {_words(index.name)} USING fts5(
            {columns}, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3 4'
        )
        """,
    ]


def _definition(connection: Connection, name: str) -> Index:
    if connection.execute(_HAS_INDEXES).fetchall():
        stored = _stored_definition(connection, name)
        if stored is not None:
            return stored
    raise UnknownIndexError(name)


def _stored_definition(connection: Connection, name: str) -> Index | None:
    found = connection.execute(_DEFINITION, (name,)).fetchall()
    return msgspec.json.decode(found[0][0], type=Index) if found else None


def _field_names(index: Index) -> list[str]:
    return [field.name for field in index.fields]


def _get(connection: Connection, index: str, ids: str) -> dict[str, Row]:
    found = connection.execute(
        f"SELECT id, version, document FROM {_documents(index)} "  # noqa: S608
        "WHERE id IN (SELECT value FROM json_each(?))",
        (ids,),
    )
    return {
        id: Row(id=id, version=version, revision=version, document=orjson.loads(document))
        for id, version, document in found  # noqa: A001
    }


def _write(connection: Connection, index: Index, row: RowWrite) -> None:
    kind, document = kind_and_json(index, row)
    written = connection.execute(
        f"INSERT INTO {_documents(index.name)} (id, kind, version, document) "  # noqa: S608
        "VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
        "SET kind = excluded.kind, version = excluded.version, document = excluded.document "
        "WHERE excluded.version > version RETURNING place",
        (row.id, kind, row.version, document.decode()),
    ).fetchall()
    for (place,) in written:  # none when the version is not newer
        _write_words(connection, index, place, row)


def _write_words(connection: Connection, index: Index, place: int, row: RowWrite) -> None:
    names = _field_names(index)
    connection.execute(
        f"INSERT OR REPLACE INTO {_words(index.name)} (rowid, {', '.join(names)}) "  # noqa: S608
        f"VALUES (?{', ?' * len(names)})",
        (place, *(indexed_text(row.document.get(name) or "") for name in names)),
    )


def _search(
    connection: Connection,
    index: Index,
    request: SearchRequest,
    expression: str,
    after: SearchCursor | None,
) -> SearchResult:
    sqlite_stamps.require_stamp(connection, index.name, request.stamp)
    matches = _page(connection, index, request, expression, after)
    highlights = _highlights(connection, index, expression, [match.place for match in matches])
    return SearchResult(
        hits=[_hit(match, highlights[match.place]) for match in matches],
        total=_total(connection, index, request, expression),
    )


def _page(
    connection: Connection,
    index: Index,
    request: SearchRequest,
    expression: str,
    after: SearchCursor | None,
) -> list[_Match]:
    matching, parameters = _matching(index, request, expression)
    boosts = ", ".join(str(float(field.boost)) for field in index.fields)
    behind = "WHERE score < ? OR (score = ? AND id > ?)" if after else ""
    place = (after.score, after.score, after.id) if after else ()
    found = connection.execute(
        # Materialised, because bm25 can be asked only where the words are matched.
        "WITH scored AS MATERIALIZED (SELECT d.place, d.id, d.kind, "  # noqa: S608
        f"-bm25({_words(index.name)}, {boosts}) AS score {matching}) "
        f"SELECT place, id, kind, score FROM scored {behind} "
        "ORDER BY score DESC, id LIMIT ?",
        (*parameters, *place, request.limit),
    )
    return [_Match(*row) for row in found]


def _total(connection: Connection, index: Index, request: SearchRequest, expression: str) -> int:
    matching, parameters = _matching(index, request, expression)
    if not request.kinds:  # the words alone know: five times cheaper than with the documents
        words = _words(index.name)
        matching = f"FROM {words} WHERE {words} MATCH ?"
    [(total,)] = connection.execute(f"SELECT count(*) {matching}", parameters)
    return int(total)


def _matching(index: Index, request: SearchRequest, expression: str) -> tuple[str, tuple[str, ...]]:
    words, documents = _words(index.name), _documents(index.name)
    kinds = f"AND d.kind IN ({', '.join('?' * len(request.kinds))})" if request.kinds else ""
    return (
        f"FROM {words} JOIN {documents} AS d ON d.place = {words}.rowid "
        f"WHERE {words} MATCH ? {kinds}",
        (expression, *request.kinds),
    )


def _hit(match: _Match, highlights: dict[str, list[str]]) -> Hit:
    return Hit(
        id=match.id,
        kind=match.kind,
        score=match.score,
        highlights=highlights,
        cursor=encode_cursor(SearchCursor(match.score, match.id)),
    )


def _highlights(
    connection: Connection, index: Index, expression: str, places: Sequence[int]
) -> dict[int, dict[str, list[str]]]:
    words = _words(index.name)
    snippets = ", ".join(
        f"snippet({words}, {column}, '{MARK_BEGIN}', '{MARK_END}', '…', {_SNIPPET_TOKENS_MAX})"
        for column in range(len(index.fields))
    )
    found = connection.execute(
        # The plus keeps SQLite from asking FTS5 place by place: each would read a prefix anew.
        f"SELECT rowid, {snippets} FROM {words} "  # noqa: S608
        f"WHERE {words} MATCH ? AND +rowid IN ({', '.join('?' * len(places))})",
        (expression, *places),
    )
    return {place: _marked(index, texts) for place, *texts in found}


def _marked(index: Index, snippets: Sequence[str]) -> dict[str, list[str]]:
    return {
        field.name: [marked_html(snippet)]
        for field, snippet in zip(index.fields, snippets, strict=True)
        if MARK_BEGIN in snippet
    }


def _count(connection: Connection, index: str) -> int:
    [(count,)] = connection.execute(f"SELECT count(*) FROM {_documents(index)}")  # noqa: S608
    return int(count)


def _drop(connection: Connection, index: str) -> None:
    connection.execute(f"DROP TABLE IF EXISTS {_words(index)}")
    connection.execute(f"DROP TABLE IF EXISTS {_documents(index)}")
    connection.execute(_CREATE_INDEXES)
    connection.execute(_FORGET, (index,))
    sqlite_stamps.forget(connection, index)


def _words(index: str) -> str:
    return f"words_{_checked(index)}"


def _documents(index: str) -> str:
    return f"documents_{_checked(index)}"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise StructuralError(f"{name!r} cannot name an index or a field; use a-z, 0-9 and _")
    return name
