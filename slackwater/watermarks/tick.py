"""Ticks: the counter of a source that only grows, whatever clocks do.

A **timeline** is one unbroken history of a source, named at random. A source that was put back to a
backup, or whose log was lost, begins a new one: its ticks go on counting, but what was reached in
one timeline says nothing of another.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

_TIMELINE_BYTES = 8


class Tick(NamedTuple):
    """A tick of one source; a later epoch is later whatever its count (tuples compare so)."""

    epoch: int
    n: int
    timeline: str = ""

    def is_after(self, other: Tick) -> bool:
        """Tell whether this is a later tick of the same timeline; no other proves anything."""
        return self.timeline == other.timeline and self > other

    def __str__(self) -> str:
        return f"{self.epoch}.{self.n}"

    def to_text(self) -> str:
        """Return all of it, as services tell one another."""
        return f"{self.epoch}.{self.n}.{self.timeline}"

    @classmethod
    def from_text(cls, text: str) -> Tick:
        """Read what `to_text` wrote.

        Raises:
            ValueError: it is no tick.
        """
        epoch, n, timeline = text.split(".")
        return cls(int(epoch), int(n), timeline)


def new_timeline() -> str:
    """Name a timeline as nobody has named one before."""
    return secrets.token_hex(_TIMELINE_BYTES)
