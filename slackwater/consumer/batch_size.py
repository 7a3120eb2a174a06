"""How many records are worth one transaction, learnt from those before.

A transaction that holds rows for long loses races against shorter ones, and what it loses is all of
its work: a batch that is too large is repeated for ever while others are busy. One that is too
small pays a commit for each record. So a batch is as large as fits into a fraction of a second, at
the speed of the last one. What counts is the time a record took, not that of the transaction: on a
busy machine even one record takes long, and cutting batches then would make each dearer still.
"""

from __future__ import annotations

_FIRST = 32
_AIM_S = 0.3


class BatchSize:
    """A number of records between 1 and `most`; it doubles or halves at most in one step."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = min(_FIRST, most)

    def __int__(self) -> int:
        return self._size

    def took(self, records: int, seconds: float) -> None:
        """Say how long a transaction of so many records took; a small one says nothing of large."""
        fitting = int(records * _AIM_S / seconds) if seconds > 0 else self._most
        if fitting < self._size:
            self._size = max(fitting, self._size // 2, 1)
        elif records >= self._size and seconds < _AIM_S:
            self._size = min(max(fitting, self._size + 1), 2 * self._size, self._most)

    def lost(self, records: int) -> None:
        """Say that a transaction of so many records was too large."""
        self._size = max(1, min(self._size, records) // 2)
