"""Stale fields: why a field must not be answered from its read model, and what takes its place."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import StaleRead
from gateway.freshness.demands import Demand
from gateway.freshness.directives import OnStale
from gateway.freshness.outcome import Outcome
from slackwater.freshness.bound import Reading
from slackwater.watermarks.tick import Tick


class MadeNull(Exception):  # noqa: N818 - no error: it travels like one, and ends as a null
    """A field, or what encloses it if that is never null, becomes null without an error."""


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """A field that does not meet its demand."""

    name: str
    demand: Demand
    reading: Reading
    sources: tuple[str, ...]
    bound_ms: int | None

    @property
    def outcome(self) -> Outcome:
        return Outcome.NULL if self.demand.on_stale is OnStale.NULL else Outcome.FAILED

    def exception(self) -> Exception:
        """Return what to raise in place of the field."""
        return MadeNull() if self.demand.on_stale is OnStale.NULL else self._error()

    def _error(self) -> StaleRead:
        known = "has no proven bound" if self.bound_ms is None else f"is {self.bound_ms} ms"
        message = (
            f"the staleness of {self.name} {known} and {self.demand.max_staleness_ms} ms "
            f"are demanded; {_remedy(self.demand)}"
        )
        return StaleRead(message, extensions=self._facts())

    def _facts(self) -> dict[str, Any]:
        holes = self.reading.holes(self.sources)
        return {
            "readModel": self.reading.read_model,
            "sources": list(self.sources),
            "demandedMs": self.demand.max_staleness_ms,
            "reachedMs": self.bound_ms,
            "onStale": self.demand.on_stale.value,
            **({"holes": holes} if holes else {}),
        }


def missed_writes(
    missed: dict[tuple[str, str], Tick], reached: dict[tuple[str, str], Tick | None]
) -> StaleRead:
    """Return the error of an answer that would miss writes: what was asked, what was reached."""
    places = ", ".join(f"{read_model} of {source}" for read_model, source in missed)
    message = (
        f"{places} has not reached the writes of the consistency token; "
        "send the operation again, or leave out the token to be served what there is"
    )
    facts = [
        {
            "readModel": read_model,
            "source": source,
            "asked": str(tick),
            "reached": str(reached[read_model, source]) if reached[read_model, source] else None,
        }
        for (read_model, source), tick in missed.items()
    ]
    return StaleRead(message, extensions={"readAfter": facts})


def _remedy(demand: Demand) -> str:
    if demand.on_stale is OnStale.FAIL:
        return "accept more, or write onStale: WAIT"
    return "accept more, or wait longer with timeoutMs"
