"""The runs of docs/model/runs.toml: which model, what is left out, and what must come of it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.model.verdict import Verdict


@dataclass(frozen=True)
class Run:
    """One run of a model.

    `without` are the safeguards that are left out; `breaks` is the invariant that must be violated,
    None if all must hold. `constants` and `invariants` replace those of the model's own cfg file.
    """

    model: str
    name: str = ""
    without: tuple[str, ...] = ()
    breaks: str | None = None
    larger: bool = False
    invariants: tuple[str, ...] = ()
    constants: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        parts = [self.model, f"({self.name})" if self.name else ""]
        if self.without:
            parts.append("without " + " and ".join(f"“{each}”" for each in self.without))
        return " ".join(part for part in parts if part)

    @property
    def expectation(self) -> str:
        return f"{self.breaks} must be violated" if self.breaks else "every invariant must hold"

    def is_met_by(self, verdict: Verdict) -> bool:
        """Tell whether it went as it must; a larger run need not have come to its end."""
        if verdict.failure is not None or verdict.broken != self.breaks:
            return False
        return verdict.is_complete or self.breaks is not None or self.larger

    def configured(self, own: str) -> str:
        """Return the model's own configuration with what this run changes.

        Raises:
            ValueError: the configuration has no such constant.
        """
        text = own
        if self.invariants:
            text = _replaced(text, r"INVARIANTS .*", f"INVARIANTS {' '.join(self.invariants)}")
        for name, value in self.constants.items():
            sign = "<-" if value.isidentifier() and not value.isupper() else "="
            text = _replaced(text, rf"  {name} (=|<-) .*", f"  {name} {sign} {value}")
        left_out = ", ".join(f'"{each}"' for each in self.without)
        return _replaced(text, r"  Without = .*", f"  Without = {{{left_out}}}")


def read_runs(folder: Path) -> list[Run]:
    """Return the runs in the order in which they stand."""
    document: Any = tomllib.loads((folder / "runs.toml").read_text())
    return [_run(**entry) for entry in document["run"]]


def _run(
    without: list[str] | None = None, invariants: list[str] | None = None, **fields: Any
) -> Run:
    return Run(without=tuple(without or ()), invariants=tuple(invariants or ()), **fields)


def _replaced(text: str, pattern: str, line: str) -> str:
    replaced, count = re.subn(rf"^{pattern}$", lambda _: line, text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"the configuration has {count} lines like {pattern}; mend runs.toml")
    return replaced
