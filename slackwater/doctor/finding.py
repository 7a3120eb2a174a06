"""What an examination finds, in the shape that `slackwater doctor --json` prints.

docs/reference/doctor.md documents the shape; it only grows.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import msgspec


class Verdict(StrEnum):
    """OK: fit for production. CAUTION: works, but not for production. BROKEN: does not work."""

    OK = "ok"
    CAUTION = "caution"
    BROKEN = "broken"


class Seen(NamedTuple):
    """What one look saw, in words with units; all but OK comes with its remedy."""

    verdict: Verdict
    found: str
    remedy: str | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check: what was looked at, what was found, how that is, and what to do about it."""

    check: str
    found: str
    verdict: Verdict
    remedy: str | None


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found of one subject; `serves` names what is kept on it."""

    name: str
    serves: list[str]
    address: str | None
    findings: list[Finding]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole examination; `verdict` is the worst of all."""

    version: int = 1
    verdict: Verdict
    subjects: list[Examined]


def ok(found: str) -> Seen:
    """Return that it is well."""
    return Seen(Verdict.OK, found)


def caution(found: str, remedy: str) -> Seen:
    """Return that it works, but not for production."""
    return Seen(Verdict.CAUTION, found, remedy)


def broken(found: str, remedy: str) -> Seen:
    """Return that it does not work."""
    return Seen(Verdict.BROKEN, found, remedy)


def report_of(subjects: Iterable[Examined]) -> Report:
    """Gather what was found; the verdict is the worst."""
    examined = list(subjects)
    verdicts = {finding.verdict for each in examined for finding in each.findings}
    worst = max(verdicts, key=list(Verdict).index, default=Verdict.OK)
    return Report(verdict=worst, subjects=examined)
