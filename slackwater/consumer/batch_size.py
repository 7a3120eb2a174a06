"""How many records are worth one transaction, learnt from those before.

A transaction that holds rows for long loses races against shorter ones, and what it loses is all of
its work: a batch that is too large is repeated for ever while others are busy. One that is too
small pays a commit for each record. So it grows while full transactions are quick, and shrinks when
one is slow or loses. Slowness alone shrinks it to a few records and no further: on a busy machine
one record takes long, too, and cutting batches then makes each of them dearer still.
"""

from __future__ import annotations

_FIRST = 32
_FEW = 8
_SHORT_S = 0.15
_LONG_S = 0.3


class BatchSize:
    """A number of records between 1 and `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = min(_FIRST, most)

    def __int__(self) -> int:
        return self._size

    def took(self, records: int, seconds: float) -> None:
        """Say how long a transaction of so many records took; a small one says little of large."""
        is_full = records >= self._size
        if is_full and (seconds < _SHORT_S or self._size < _FEW):
            self._size = min(self._most, 2 * self._size)
        elif seconds > _LONG_S and self._size > _FEW:
            self._size = max(_FEW, min(self._size, records) // 2)

    def lost(self, records: int) -> None:
        """Say that a transaction of so many records was too large."""
        self._size = max(1, min(self._size, records) // 2)
