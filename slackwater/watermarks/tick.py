"""Ticks: the counter of a source that only grows, whatever clocks do."""

from __future__ import annotations

from typing import NamedTuple


class Tick(NamedTuple):
    """A tick of one source; a later epoch is later whatever its count (tuples compare so)."""

    epoch: int
    n: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.n}"
