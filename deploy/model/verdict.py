"""What TLC's output says of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass

_COUNTS = re.compile(r"([\d,]+) states generated.*?, ([\d,]+) distinct states found")
_BROKEN = re.compile(r"^Error: Invariant (\w+) is violated", re.MULTILINE)
_STEP = re.compile(r"^State \d+:", re.MULTILINE)
_DEPTH = re.compile(r"depth of the complete state graph search is (\d+)")
_COMPLETE = "Model checking completed. No error has been found."


@dataclass(frozen=True)
class Verdict:
    """`broken` is the invariant that was violated, in `steps`; `failure` what went wrong itself."""

    output: str
    distinct: int
    generated: int
    is_complete: bool
    depth: int | None
    broken: str | None
    steps: int
    failure: str | None

    @property
    def text(self) -> str:
        if self.failure is not None:
            return self.failure
        if self.broken is not None:
            return f"{self.broken} is violated after {self.steps} steps"
        states = f"{self.distinct:,} distinct states of {self.generated:,}"
        if self.is_complete:
            return f"holds, {states}, depth {self.depth}, explored completely"
        return f"nothing found in {states}, not explored completely"


def read_verdict(output: str, *, was_cut_off: bool) -> Verdict:
    """Read a run's output; one that was cut off at its deadline is not complete."""
    counts = _COUNTS.findall(output)
    generated, distinct = (_number(text) for text in counts[-1]) if counts else (0, 0)
    depth, broken = _DEPTH.search(output), _BROKEN.search(output)
    is_complete = _COMPLETE in output
    if is_complete or broken or (was_cut_off and counts):
        failure = None
    else:
        failure = "was cut off before it began" if was_cut_off else "TLC failed"
    return Verdict(
        output=output,
        distinct=distinct,
        generated=generated,
        is_complete=is_complete,
        depth=int(depth[1]) if depth else None,
        broken=broken[1] if broken else None,
        steps=max(0, len(_STEP.findall(output)) - 1),
        failure=failure,
    )


def _number(text: str) -> int:
    return int(text.replace(",", ""))
