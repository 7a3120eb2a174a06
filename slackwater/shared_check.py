"""Holds a shared invariant against the services' facts, look after look while the system runs.

Services hear of one another's events a little later, so one look proves nothing: a violation is
what was violated at every look, whatever was wrong with it.
"""

from __future__ import annotations

from slackwater.verification import Facts, SharedInvariant, Violation


class SharedCheck:
    """One shared invariant, and what has violated it from the first look on."""

    def __init__(self, invariant: SharedInvariant) -> None:
        self.invariant = invariant
        self._problems: dict[str, str] | None = None

    @property
    def is_fine(self) -> bool:
        return not self._problems

    @property
    def violations(self) -> list[Violation]:
        """What was wrong at every look, in the words of the last one."""
        return [
            Violation(invariant=self.invariant.name, id=violating_id, problem=problem)
            for violating_id, problem in (self._problems or {}).items()
        ]

    async def glance(self) -> None:
        """Facts are all that it looks at."""

    async def look(self, facts: Facts) -> None:
        """Look at everything the first time, and then at what never was right."""
        problems = dict(self.invariant.violations(facts))
        if self._problems is not None:
            problems = {key: problems[key] for key in self._problems if key in problems}
        self._problems = problems
