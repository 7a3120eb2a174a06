"""Registers: values that only grow, by one committed event a step, with the brackets of commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Commit(NamedTuple):
    """Invisible before `sent_s`, visible from `returned_s` on; on the oracle's monotonic clock."""

    sent_s: float
    returned_s: float


class Register:
    """Commit k, counted from 0, made the value k + 1; one task at a time writes."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.commits: list[Commit] = []

    @property
    def value(self) -> int:
        return len(self.commits)

    def first_missing(self, shown: int) -> Commit | None:
        """Return the oldest commit that a read lacks which shows this value."""
        return self.commits[shown] if shown < len(self.commits) else None


class Bracket:
    """Takes the instants around one commit; put `sending` around the work of the transaction."""

    def __init__(self) -> None:
        self._sent_s = 0.0

    def sending(self, work: Callable[..., T]) -> Callable[..., T]:
        """Do the work, and note when it is done: COMMIT is sent next. A repeat notes it anew."""

        def noted(*arguments: object) -> T:
            done = work(*arguments)
            self._sent_s = time.monotonic()
            return done

        return noted

    def returned(self) -> Commit:
        return Commit(self._sent_s, time.monotonic())


def oldest_missing(shown: Iterable[tuple[Register, int]]) -> Commit | None:
    """Return the commit that became visible first of those that a read lacks."""
    missing = [register.first_missing(value) for register, value in shown]
    return min((each for each in missing if each), key=lambda each: each.returned_s, default=None)
