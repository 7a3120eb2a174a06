"""Rows that a projector has just written, remembered for the events that follow.

The next event mostly concerns a row that one of the last batches has written: an order is approved
soon after it was placed, its customer places another one. Asking a store for such a row again costs
a round trip in each batch, and all that waits for the batch waits for that, too.

A remembered row is never newer than the stored one. It is older where somebody else has written the
row meanwhile: whoever replays what was parked, or the projector of another partition that shares
it. Then its next write is refused, or its next event seems to be missing; so whoever recalls a row
must be ready to try again with the stored one, and a row is recalled but once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from slackwater.read_models.documents import Document, Row, RowWrite
from slackwater.read_models.projection import Ref

_BYTES_MAX = 8 * 1024 * 1024
_ROW_BYTES = 500
"""What a row takes beside its document and its id, roughly."""
_SHARED_MAX = 10_000
_FEW = 100
"""A batch that writes more rows is catching up: one question for all of them is cheaper there."""

_decoder = msgspec.msgpack.Decoder(Document)


class _Remembered(NamedTuple):
    version: int
    revision: int
    document: bytes
    """A copy: rules may put a part of one row's document into another's."""


class RememberedRows:
    """The rows of documents that were written last, as many as fit."""

    def __init__(self, bytes_max: int = _BYTES_MAX) -> None:
        """`bytes_max` bounds what all rows take together, roughly."""
        self._bytes_max = bytes_max
        self._bytes = 0
        self._rows: OrderedDict[Ref, _Remembered] = OrderedDict()
        self._shared: set[Ref] = set()

    def recall(self, refs: Iterable[Ref]) -> dict[Ref, Row]:
        """Return those of the rows that are remembered, and forget them."""
        found = {ref: self._forget(ref) for ref in refs if ref in self._rows}
        return {
            ref: Row(
                id=ref.id,
                version=row.version,
                revision=row.revision,
                document=_decoder.decode(row.document),
            )
            for ref, row in found.items()
        }

    def remember(self, written: Sequence[RowWrite]) -> None:
        """Remember what one commit has written, if that is little and nobody else writes it."""
        if len(written) > _FEW:
            return
        for write in written:
            ref = Ref(write.collection, write.id)
            if ref in self._rows:
                self._forget(ref)
            # A store may take what is no plain JSON, such as an instance of a subclass of str.
            with suppress(TypeError, ValueError, OverflowError, RecursionError):
                if ref not in self._shared:
                    self._remember(ref, write, msgspec.msgpack.encode(write.document))

    def share(self, refs: Iterable[Ref]) -> None:
        """Remember these rows no more: somebody else has written them, and may again."""
        if len(self._shared) > _SHARED_MAX:
            self._shared.clear()
        self._shared.update(refs)

    def clear(self) -> None:
        """Forget every row, but not which ones others write."""
        self._rows.clear()
        self._bytes = 0

    def _remember(self, ref: Ref, write: RowWrite, document: bytes) -> None:
        row = _Remembered(write.version, write.expected_revision + 1, document)
        taken = _bytes_of(ref, row)
        if taken > self._bytes_max:
            return
        while self._bytes + taken > self._bytes_max:
            self._forget(next(iter(self._rows)))
        self._rows[ref] = row
        self._bytes += taken

    def _forget(self, ref: Ref) -> _Remembered:
        row = self._rows.pop(ref)
        self._bytes -= _bytes_of(ref, row)
        return row


def _bytes_of(ref: Ref, row: _Remembered) -> int:
    return _ROW_BYTES + len(ref.id) + len(row.document)
