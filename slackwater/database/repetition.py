"""Running work again that lost a race against other transactions, until its time is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from slackwater.backoff import backoff
from slackwater.database.port import ContendedError
from slackwater.database.postgresql_errors import is_conflict, is_taken_key
from slackwater.errors import UnknownOutcomeError

T = TypeVar("T")

_TAKEN_KEY_TRIES_MAX = 12
_DELAY_FIRST_S = 0.001
_DELAY_MAX_S = 0.1


class Repetition:
    """Repeats what lost a race, one at a time: losers no longer hinder one another."""

    def __init__(self, *, timeout_ms: int) -> None:
        self._timeout_s = timeout_ms / 1000
        self._lane = threading.Lock()

    def run(self, attempt: Callable[[], T]) -> T:
        """Run `attempt`, which leaves nothing behind when it raises, until it has lost no race.

        A taken unique key is an error like any other when it stays taken: who looks again finds
        the row that had taken it.

        Raises:
            ContendedError: time was up first.
        """
        deadline_s = time.monotonic() + self._timeout_s
        try:
            return attempt()
        except Exception as error:
            _raise_unless_lost_race(error, tries=1)
        if not self._lane.acquire(timeout=self._timeout_s):
            raise ContendedError("too many transactions wait for one another; try again later")
        try:
            return self._again(attempt, deadline_s)
        finally:
            self._lane.release()

    def _again(self, attempt: Callable[[], T], deadline_s: float) -> T:
        for tries, delay_s in enumerate(backoff(first_s=_DELAY_FIRST_S, max_s=_DELAY_MAX_S), 2):
            try:
                return attempt()
            except Exception as error:
                _raise_unless_lost_race(error, tries=tries)
                if time.monotonic() > deadline_s:
                    raise ContendedError(
                        f"others were in the way {tries} times: {error}; try again later"
                    ) from error
            time.sleep(delay_s)
        raise AssertionError("the backoff never ends")


def _raise_unless_lost_race(error: Exception, *, tries: int) -> None:
    may_have_happened = isinstance(error, UnknownOutcomeError)
    may_be_race = is_conflict(error) or (is_taken_key(error) and tries < _TAKEN_KEY_TRIES_MAX)
    if may_have_happened or not may_be_race:
        raise error
