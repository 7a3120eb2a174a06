"""How many records are worth one transaction, learnt from those before.

A transaction that holds rows for long loses races against shorter ones, and what it loses is all of
its work: a batch that is too large is repeated for ever while others are busy. One that is too
small pays a commit for each record. So it grows while transactions are quick, and shrinks at once
when they are slow or lose (additive growth and multiplicative shrinking would find the place more
slowly: commits dominate small batches, so doubling costs little).
"""

from __future__ import annotations

_FIRST = 32
_LONG_S = 0.5
_SHORT_S = 0.1


class BatchSize:
    """A number of records between 1 and `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = min(_FIRST, most)

    def __int__(self) -> int:
        return self._size

    def took(self, records: int, seconds: float) -> None:
        """Say how long a transaction of so many records took; a small one says nothing of large."""
        if seconds > _LONG_S:
            self.lost(records)
        elif seconds < _SHORT_S and records >= self._size:
            self._size = min(self._most, 2 * self._size)

    def lost(self, records: int) -> None:
        """Say that a transaction of so many records was too large."""
        self._size = max(1, min(self._size, records) // 2)
