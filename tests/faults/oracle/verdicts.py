"""Verdicts on checks, and their tally: violations, undecidable ones, and how tight bounds were."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.faults.oracle.registers import Commit

HEARTBEAT_MS = 100.0
_KEPT_MAX = 200_000
_SHOWN_MAX = 20


class Verdict(StrEnum):
    """What a check says about its bound."""

    HOLDS = "HOLDS"
    VIOLATED = "VIOLATED"
    UNDECIDABLE = "UNDECIDABLE"
    NO_BOUND = "NO_BOUND"


@dataclass(frozen=True)
class Check:
    """One entry of `extensions.freshness.fields`, with what was missing from what it covers.

    A bound speaks of the instant at which it was told, not of the earlier one at which somebody
    asked, nor of the later one at which the answer came.
    """

    path: str
    read_model: str
    told_s: float
    bound_ms: int | None
    missing: Sequence[Commit]
    faults: Collection[str] = ()

    @property
    def verdict(self) -> Verdict:
        if self.bound_ms is None:
            return Verdict.NO_BOUND
        reflected_s = self.told_s - self.bound_ms / 1000
        if any(each.returned_s < reflected_s for each in self.missing):
            return Verdict.VIOLATED
        if any(each.sent_s < reflected_s for each in self.missing):
            return Verdict.UNDECIDABLE
        return Verdict.HOLDS

    @property
    def staleness_ms(self) -> float:
        """How stale the answer was at least when it was told."""
        visible_s = min((each.returned_s for each in self.missing), default=math.inf)
        return max(0.0, (self.told_s - visible_s) * 1000)

    @property
    def brackets_ms(self) -> list[float]:
        """How wide the brackets are of what was missing, of those that are closed."""
        closed = (each for each in self.missing if each.returned_s < math.inf)
        return [(each.returned_s - each.sent_s) * 1000 for each in closed]


class Sample:
    """A fair sample of unboundedly many figures."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._kept: list[float] = []
        self._max = -math.inf
        self.count = 0

    def add(self, value: float) -> None:
        self.count += 1
        self._max = max(self._max, value)
        if len(self._kept) < _KEPT_MAX:
            self._kept.append(value)
        elif (at := self._random.randrange(self.count)) < _KEPT_MAX:
            self._kept[at] = value

    def percentiles(self) -> dict[str, float]:
        ordered = sorted(self._kept)
        if not ordered:
            return {}
        at = {"p50": 0.5, "p99": 0.99}
        found = {name: ordered[int(len(ordered) * part)] for name, part in at.items()}
        return {name: round(value, 1) for name, value in {**found, "max": self._max}.items()}


@dataclass
class Tally:
    """Counts verdicts, by fault too, and keeps the first violations to be looked at."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    by_fault: dict[str, Counter[Verdict]] = field(default_factory=dict)
    stale: int = 0
    requests: int = 0
    """Those that were answered; the others count as refused alone."""
    refused: Counter[str] = field(default_factory=Counter)
    """By the code of the first error."""
    uncovered: int = 0
    """What was shown and has no entry: nothing was said about it."""
    untimely: int = 0
    """Bounds told, as the gateway says, before somebody asked or after the answer came."""
    phantoms: int = 0
    """What was shown and was never committed."""
    rounds: int = 0
    """How often every fault was injected."""
    violations: list[Check] = field(default_factory=list)
    bounds_ms: dict[str, Sample] = field(default_factory=dict)
    slack_ms: dict[str, Sample] = field(default_factory=dict)
    bracket_ms: Sample = field(default_factory=Sample)

    def add(self, check: Check) -> None:
        verdict = check.verdict
        self.verdicts[verdict] += 1
        for fault in check.faults:
            self.by_fault.setdefault(fault, Counter())[verdict] += 1
        self.stale += check.staleness_ms > HEARTBEAT_MS
        if verdict is Verdict.VIOLATED and len(self.violations) < _SHOWN_MAX:
            self.violations.append(check)
        if verdict is Verdict.UNDECIDABLE:
            for width_ms in check.brackets_ms:
                self.bracket_ms.add(width_ms)
        if check.bound_ms is not None:
            _add(self.bounds_ms, check.read_model, check.bound_ms)
            _add(self.slack_ms, check.read_model, check.bound_ms - check.staleness_ms)

    @property
    def checks(self) -> int:
        return self.verdicts.total()

    def summary(self) -> dict[str, Any]:
        """Return all figures; slack is bound - true staleness, which is tightness."""
        return {
            "requests": self.requests,
            "refused": self.refused.total(),
            "refused_as": dict(self.refused),
            "uncovered": self.uncovered,
            "untimely": self.untimely,
            "phantoms": self.phantoms,
            "rounds": self.rounds,
            "checks": self.checks,
            "verdicts": dict(self.verdicts),
            "by_fault": {fault: dict(counts) for fault, counts in sorted(self.by_fault.items())},
            "stale_above_one_heartbeat_percent": _percent(self.stale, self.checks),
            "bound_ms": {name: each.percentiles() for name, each in self.bounds_ms.items()},
            "slack_ms": {name: each.percentiles() for name, each in self.slack_ms.items()},
            "undecidable_bracket_ms": self.bracket_ms.percentiles(),
        }


def _add(samples: dict[str, Sample], name: str, value: float) -> None:
    samples.setdefault(name, Sample()).add(value)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
