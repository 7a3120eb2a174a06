"""What one adapter of a port can do and another cannot: declared by the adapter, never guessed.

Whoever depends on one asks `capabilities` of the adapter. docs/reference/adapters.md is made of the
same declarations.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Capability(StrEnum):
    """A capability by name, and what a user has to live with `without` it."""

    without: str

    def __new__(cls, name: str, without: str) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.without = without
        return member
