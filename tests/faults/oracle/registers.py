"""Registers: values that only grow, by one committed event a step, with the brackets of commits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from slackwater.clock import SystemClock

T = TypeVar("T")
_clock = SystemClock()


class Commit(NamedTuple):
    """Invisible before `sent_s`, visible from `returned_s` on, on the machine's clock of bounds."""

    sent_s: float
    returned_s: float


class Register:
    """Commit k, counted from 0, made the value k + 1; one task at a time writes."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.commits: list[Commit] = []
        self.open_since_s: float | None = None
        """When a commit was sent that has not returned yet."""

    @property
    def value(self) -> int:
        return len(self.commits)

    def first_missing(self, shown: int) -> Commit | None:
        """Return the oldest commit that a read lacks which shows this value."""
        if shown < len(self.commits):
            return self.commits[shown]
        if shown == len(self.commits) and self.open_since_s is not None:
            return Commit(self.open_since_s, math.inf)
        return None

    def is_phantom(self, shown: int) -> bool:
        """Tell whether a read shows what nobody has committed."""
        return shown > self.value + (self.open_since_s is not None)


class Bracket:
    """Takes the instants around one commit of a register's, or of nobody's."""

    def __init__(self, register: Register | None = None) -> None:
        self._register = register
        self._sent_s = 0.0

    def sending(self, work: Callable[..., T]) -> Callable[..., T]:
        """Do the work, and note when it is done: COMMIT is sent next. A repeat notes it anew."""

        def noted(*arguments: object) -> T:
            done = work(*arguments)
            self._sent_s = _clock.monotonic()
            if self._register is not None:
                self._register.open_since_s = self._sent_s
            return done

        return noted

    def returned(self) -> Commit:
        return Commit(self._sent_s, _clock.monotonic())


def all_missing(shown: Iterable[tuple[Register, int]]) -> tuple[Commit, ...]:
    """Return the oldest commit of each register that a read lacks."""
    missing = (register.first_missing(value) for register, value in shown)
    return tuple(each for each in missing if each is not None)
