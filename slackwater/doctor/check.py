"""Runs checks side by side, each within its own deadline, so that none keeps another from its turn.

Whatever a look raises becomes a finding: an examination never ends in an error of what it examines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import NamedTuple, TypeVar

from slackwater.doctor.finding import Examined, Finding, Seen, Verdict, broken, ok
from slackwater.doctor.redaction import redacted
from slackwater.errors import SlackwaterError, TransientError

T = TypeVar("T")

_OPEN_TIMEOUT_S = 10.0  # more than drivers are given: they say better what is wrong
_CLOSE_TIMEOUT_S = 3.0
_REASON_CHARS_MAX = 240
_REACHABLE = "reachable"


class Check(NamedTuple):
    """One look; `remedy` is for when it fails or is not over in time."""

    name: str
    look: Callable[[], Awaitable[Seen]]
    remedy: str
    timeout_s: float = 10.0


class Subject(NamedTuple):
    """Something to examine: opening it connects and returns its checks.

    `remedy` is for when it cannot be opened; where `connects` is true, that is a check by itself.
    """

    name: str
    serves: tuple[str, ...]
    address: str | None
    opened: Callable[[], AbstractAsyncContextManager[Sequence[Check]]]
    remedy: str
    connects: bool = True


async def examine(subject: Subject) -> Examined:
    """Run all checks of a subject at once; only the first where it cannot be opened."""
    return Examined(
        name=subject.name,
        serves=list(subject.serves),
        address=None if subject.address is None else redacted(subject.address),
        findings=await _findings(subject),
    )


async def _findings(subject: Subject) -> list[Finding]:
    opened = subject.opened()
    try:
        checks = await _within(_OPEN_TIMEOUT_S, opened.__aenter__())
    except Exception as error:  # whatever it is, it is the finding
        return [_finding(_REACHABLE, _failed(error, subject.remedy))]
    try:
        found = await asyncio.gather(*map(_run, checks))
    finally:
        with suppress(Exception):  # what was found stays true
            await _within(_CLOSE_TIMEOUT_S, opened.__aexit__(None, None, None))
    return [*([_finding(_REACHABLE, ok("answers"))] if subject.connects else []), *found]


async def _run(check: Check) -> Finding:
    try:
        seen = await _within(check.timeout_s, check.look())
    except Exception as error:  # whatever it is, it is the finding
        seen = _failed(error, check.remedy)
    return _finding(check.name, seen)


async def _within(timeout_s: float, work: Awaitable[T]) -> T:
    """Await the work no longer than that, even where it does not heed its cancellation."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    finally:
        task.cancel()
    if not done:
        raise TimeoutError(f"no answer within {timeout_s:g} s")
    return task.result()


def _failed(error: Exception, remedy: str) -> Seen:
    reason = str(error).strip() or type(error).__name__
    if isinstance(error, SlackwaterError) and "; " in reason:  # our messages end with the remedy
        reason, _, own_remedy = reason.rpartition("; ")
        if not isinstance(error, TransientError):  # theirs is mostly to try again
            remedy = own_remedy
    return broken(_in_one_line(reason), remedy)


def _in_one_line(reason: str) -> str:
    """Return the point of it; drivers add pages."""
    line = reason.splitlines()[0].partition(" (configured timeouts")[0]
    line = line.partition(", Topology Desc")[0]
    return line if len(line) <= _REASON_CHARS_MAX else f"{line[:_REASON_CHARS_MAX]}…"


def _finding(check: str, seen: Seen) -> Finding:
    if seen.verdict is not Verdict.OK and seen.remedy is None:
        raise ValueError(f"the check {check!r} found something wrong and lacks a remedy; add it")
    return Finding(
        check=check, found=redacted(seen.found), verdict=seen.verdict, remedy=seen.remedy
    )
