"""What PostgreSQL's output plugin `pgoutput` tells of each committed transaction, read from bytes.

Version 1 of the protocol. The layout is that of "Logical Replication Message Formats" in
PostgreSQL's manual. Transactions come whole and in the order of their commit records; what was
rolled back never comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any, Final, NamedTuple

from psycopg import adapters
from psycopg.adapt import Transformer
from psycopg.pq import Format

from slackwater.errors import StructuralError

OPTIONS: Final = {"proto_version": "1", "messages": "true"}
"""What a session must ask for, so that this module understands what comes. Values come as texts."""

IN_BINARY: Final = {**OPTIONS, "binary": "true"}
"""The same, with values in binary where their types have such a form: for the kernel's own tables.

Only texts are what a query gives for every type: an enumeration's binary form is not known here.
"""

TEXTS: Final = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
}
"""Settings of a session with which its texts say the same everywhere."""

_BEGIN = Struct("!qqi")
_COMMIT = Struct("!bqqq")
_MESSAGE = Struct("!bq")
_TRUNCATION = Struct("!ib")
_LONG = Struct("!i")
_ID = Struct("!I")
_SHORT = Struct("!h")
_COLUMN_TYPE = Struct("!ii")


class UnknownMessageError(StructuralError):
    """The server sends what this release does not understand; run a release that does."""


class Unchanged:
    """Stands for a large value that an update left as it was and the log does not repeat."""

    def __repr__(self) -> str:
        return "unchanged"


UNCHANGED: Final = Unchanged()


class Begin(NamedTuple):
    """What comes up to the next commit is one transaction's, whose commit's record lies there."""

    commit_lsn: int
    committed_at: datetime


class Commit(NamedTuple):
    """A transaction is complete; all before `end_lsn` need not come again."""

    end_lsn: int


class Change(NamedTuple):
    """A row was inserted (kind I, `old` is None), updated (U) or deleted (D, `new` is None).

    `old` holds what the table's replica identity tells: the key alone, or everything; for an update
    it may be None, too.
    """

    kind: str
    schema: str
    table: str
    old: dict[str, Any] | None
    new: dict[str, Any] | None


class LogMessage(NamedTuple):
    """A message of `pg_logical_emit_message`."""

    prefix: str
    content: bytes


class Truncation(NamedTuple):
    """Tables were emptied, each given as schema and name."""

    tables: tuple[tuple[str, str], ...]


Message = Begin | Commit | Change | LogMessage | Truncation


class Relation:
    """A table as the session described it: its columns' names, and how to read their values."""

    def __init__(self, schema: str, table: str, columns: Sequence[str], types: list[int]) -> None:
        self.schema = schema
        self.table = table
        self.columns = tuple(columns)
        self._binary, self._text = Transformer(), Transformer()
        self._binary.set_loader_types(types, Format.BINARY)
        self._text.set_loader_types(types, Format.TEXT)

    def row(self, values: list[bytes | None], kinds: bytes) -> dict[str, Any]:
        """Return a row by its columns; `kinds` says of each value how it came."""
        read = self._read(values, kinds)
        if _UNCHANGED in kinds:
            read = [
                UNCHANGED if kind == _UNCHANGED else value
                for value, kind in zip(read, kinds, strict=True)
            ]
        return dict(zip(self.columns, read, strict=True))

    def _read(self, values: list[bytes | None], kinds: bytes) -> Sequence[Any]:
        if _TEXT not in kinds:
            return self._binary.load_sequence(values)
        if _BINARY not in kinds:
            return self._text.load_sequence(values)
        return self._mixed(values, kinds)

    def _mixed(self, values: list[bytes | None], kinds: bytes) -> list[Any]:
        as_text = [
            value if kind == _TEXT else None for value, kind in zip(values, kinds, strict=True)
        ]
        as_binary = [
            value if kind != _TEXT else None for value, kind in zip(values, kinds, strict=True)
        ]
        texts, binaries = self._text.load_sequence(as_text), self._binary.load_sequence(as_binary)
        return [
            text if kind == _TEXT else binary
            for text, binary, kind in zip(texts, binaries, kinds, strict=True)
        ]


_UNCHANGED, _TEXT, _BINARY = b"utb"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's


class Decoder:
    """Reads the messages of one session, in which each table is described before its first row."""

    def __init__(self) -> None:
        self._relations: dict[int, Relation] = {}
        self._base_types: dict[int, int] = {}
        self._readers: dict[int, Callable[[bytes], Message | None]] = {
            ord("B"): _read_begin,
            ord("C"): _read_commit,
            ord("I"): self._read_insert,
            ord("U"): self._read_update,
            ord("D"): self._read_delete,
            ord("T"): self._read_truncation,
            ord("M"): _read_message,
            ord("R"): self._learn_relation,
            ord("Y"): self._learn_type,
            ord("O"): _skip,  # where a replicated transaction came from
        }

    def read(self, data: bytes) -> Message | None:
        """Return what one message tells; None where it only prepares for others.

        Raises:
            UnknownMessageError: no such message is known.
        """
        reader = self._readers.get(data[0])
        if reader is None:
            raise UnknownMessageError(
                f"pgoutput sent a message of kind {chr(data[0])!r}; this release knows no such"
            )
        return reader(data)

    def _learn_relation(self, data: bytes) -> None:
        (relation_id,) = _LONG.unpack_from(data, 1)
        schema, at = _read_text(data, 5)
        table, at = _read_text(data, at)
        (count,) = _SHORT.unpack_from(data, at + 1)  # behind the kind of replica identity
        at += 3
        columns, types = [], []
        for _ in range(count):
            name, at = _read_text(data, at + 1)  # behind the flag of key columns
            columns.append(name)
            type_id = _COLUMN_TYPE.unpack_from(data, at)[0] & 0xFFFFFFFF
            types.append(self._base_types.get(type_id, type_id))
            at += _COLUMN_TYPE.size
        self._relations[relation_id] = Relation(schema, table, columns, types)

    def _learn_type(self, data: bytes) -> None:
        """Read a domain's values as those of what it restricts, as every query gives them."""
        (type_id,) = _ID.unpack_from(data, 1)
        schema, at = _read_text(data, 5)
        name, _ = _read_text(data, at)  # of what it restricts
        known = adapters.types.get(name.removeprefix("_"))
        if known is not None and not schema:  # PostgreSQL's own
            self._base_types[type_id] = known.array_oid if name.startswith("_") else known.oid

    def _read_insert(self, data: bytes) -> Change:
        relation = self._relation(data)
        new, _ = _read_row(relation, data, 6)
        return Change("I", relation.schema, relation.table, None, new)

    def _read_update(self, data: bytes) -> Change:
        relation = self._relation(data)
        old, at = None, 5
        if data[at] != ord("N"):
            old, at = _read_row(relation, data, at + 1)
        new, _ = _read_row(relation, data, at + 1)
        return Change("U", relation.schema, relation.table, old, new)

    def _read_delete(self, data: bytes) -> Change:
        relation = self._relation(data)
        old, _ = _read_row(relation, data, 6)
        return Change("D", relation.schema, relation.table, old, None)

    def _read_truncation(self, data: bytes) -> Truncation:
        count, _ = _TRUNCATION.unpack_from(data, 1)
        ids = Struct(f"!{count}i").unpack_from(data, 1 + _TRUNCATION.size)
        emptied = [self._relations[each] for each in ids]
        return Truncation(tuple((each.schema, each.table) for each in emptied))

    def _relation(self, data: bytes) -> Relation:
        return self._relations[_LONG.unpack_from(data, 1)[0]]


def _read_begin(data: bytes) -> Begin:
    commit_lsn, committed_us, _ = _BEGIN.unpack_from(data, 1)
    return Begin(commit_lsn, _EPOCH + timedelta(microseconds=committed_us))


def _read_message(data: bytes) -> LogMessage:
    prefix, at = _read_text(data, 1 + _MESSAGE.size)
    (length,) = _LONG.unpack_from(data, at)
    return LogMessage(prefix, data[at + 4 : at + 4 + length])


def _read_commit(data: bytes) -> Commit:
    _, _, end_lsn, _ = _COMMIT.unpack_from(data, 1)
    return Commit(end_lsn)


def _skip(_: bytes) -> None:
    """What it tells is of no use here."""


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(0, at)
    return data[at:end].decode(), end + 1


def _read_row(relation: Relation, data: bytes, at: int) -> tuple[dict[str, Any], int]:
    (count,) = _SHORT.unpack_from(data, at)
    at += 2
    kinds = bytearray(count)
    values: list[bytes | None] = [None] * count
    for number in range(count):
        kinds[number] = kind = data[at]
        at += 1
        if kind in b"bt":
            (length,) = _LONG.unpack_from(data, at)
            values[number] = data[at + 4 : at + 4 + length]
            at += 4 + length
    return relation.row(values, bytes(kinds)), at
