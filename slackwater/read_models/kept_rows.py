"""Rows that a projector has just written, kept for what follows.

The next event mostly concerns a row that one of the last batches has written: an order is approved
soon after it was placed, its customer places another one. Asking a store for such a row again costs
a round trip in each batch, and all that waits for the batch waits for that, too.

A kept row is never newer than the stored one. It is older where somebody else has written that
meanwhile, who replays what was parked or shares the row by another partition. Then the guard of the
next write refuses it, or its next event seems to be missing. So a row is taken out to be folded
into, and put back once it is committed: whatever fails is tried again with the row as it is stored.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from slackwater.read_models.documents import Document, Row, RowWrite
from slackwater.read_models.projection import Ref

_BYTES_MAX = 8 * 1024 * 1024
_decoder = msgspec.msgpack.Decoder(Document)


class _Kept(NamedTuple):
    version: int
    revision: int
    document: bytes
    """A copy: rules may put a part of one row's document into another's."""


class KeptRows:
    """The rows written last, as many as fit; those used longest ago are forgotten first."""

    def __init__(self, bytes_max: int = _BYTES_MAX) -> None:
        """`bytes_max` bounds the documents of all rows together."""
        self._bytes_max = bytes_max
        self._bytes = 0
        self._rows: OrderedDict[Ref, _Kept] = OrderedDict()

    def take(self, refs: Iterable[Ref]) -> dict[Ref, Row]:
        """Return those of the rows that are kept, and keep them no longer."""
        found = {ref: self._forget(ref) for ref in refs if ref in self._rows}
        return {
            ref: Row(
                id=ref.id,
                version=kept.version,
                revision=kept.revision,
                document=_decoder.decode(kept.document),
            )
            for ref, kept in found.items()
        }

    def put(self, written: Sequence[RowWrite]) -> None:
        """Keep rows that are committed."""
        for write in written:
            ref = Ref(write.collection, write.id)
            if ref in self._rows:
                self._forget(ref)
            document = msgspec.msgpack.encode(write.document)
            self._rows[ref] = _Kept(write.version, write.expected_revision + 1, document)
            self._bytes += len(document)
        while self._bytes > self._bytes_max:
            self._forget(next(iter(self._rows)))

    def clear(self) -> None:
        """Keep nothing."""
        self._rows.clear()
        self._bytes = 0

    def _forget(self, ref: Ref) -> _Kept:
        kept = self._rows.pop(ref)
        self._bytes -= len(kept.document)
        return kept
