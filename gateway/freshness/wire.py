"""`extensions.freshness`: what an answer says of its staleness.

Bounds round up and times round down; what does not fit an Int is null with status STALLED, never
clamped. Each read model and source is computed once an answer, never once a field.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

from gateway.freshness.asked import Detail
from gateway.freshness.entries import Entry, entries_of, possibly_lagging
from gateway.freshness.join import Join, join_of
from gateway.freshness.operation import OperationFreshness
from gateway.freshness.paths import Steps
from gateway.freshness.serving import Facts, Serving, SourceFacts, facts_of, worst_of
from slackwater.freshness.bound import INT_MAX, elapsed_ms

VERSION = 1
POSSIBLY_LAGGING = "POSSIBLY_LAGGING"


def freshness_extension(freshness: OperationFreshness) -> dict[str, Any] | None:
    """Return the value of `extensions.freshness`; None when there is nothing to tell."""
    if freshness.plan is None or freshness.asked.detail is Detail.OFF:
        return None
    answer = _Answer(freshness)
    told: dict[str, Any] = {"version": VERSION, "readModels": answer.read_models()}
    if freshness.asked.detail is Detail.FULL:
        told["fields"] = answer.fields()
    if freshness.asked.explain:
        told["sources"] = answer.sources()
        told |= answer.join()
    return told


def time_of(moment: datetime | None) -> str | None:
    """Return a time in UTC, rounded down to milliseconds."""
    if moment is None:
        return None
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")  # cuts, and does not round
    return text.replace("+00:00", "Z")


class _Answer:
    def __init__(self, freshness: OperationFreshness) -> None:
        self._freshness = freshness
        self._now_s = freshness.now_s()
        self._facts: dict[tuple[Any, ...], Facts] = {}
        self._said_by_facts: dict[int, dict[str, Any]] = {}
        self._entries = _entries(freshness)
        self._lagging = self._possibly_lagging()

    def read_models(self) -> dict[str, Any]:
        return {
            name: self._read_model(name, sources) for name, sources in sorted(self._used().items())
        }

    def fields(self) -> list[dict[str, Any]]:
        return [self._field(entry) for entry in self._entries]

    def sources(self) -> dict[str, Any]:
        """Explain the ages of what is known of each source."""
        used = {source for sources in self._used().values() for source in sources}
        return {source: self._source(source) for source in sorted(used)}

    def join(self) -> dict[str, Any]:
        """Explain how far apart the inputs of the answer are, if it has more than one."""
        join = join_of(self._servings())
        return {"join": _join_told(join)} if join is not None else {}

    def _used(self) -> dict[str, tuple[str, ...]]:
        """Return the read models that have answered, with the sources that count."""
        used: dict[str, dict[str, None]] = {}
        for serving in self._servings():
            if serving.read_model is not None:
                used.setdefault(serving.read_model, {}).update(dict.fromkeys(serving.sources))
        return {name: tuple(sources) for name, sources in used.items()}

    def _servings(self) -> Iterable[Serving]:
        for entry in self._entries:
            yield entry.serving
            yield from entry.also

    def _read_model(self, name: str, sources: tuple[str, ...]) -> dict[str, Any]:
        serving = self._freshness.from_read_model(name, sources)
        others = self._others(name)
        facts = worst_of(self._of(serving), others) if others else self._of(serving)
        told: dict[str, Any] = {
            "version": serving.reading.version if serving.reading is not None else None,
            "status": facts.status.value,
            "maxStalenessMs": facts.max_staleness_ms,
            "lagEvents": facts.lag_events,
            "holes": facts.holes,
            "asOf": time_of(facts.as_of),
        }
        if facts.holes:
            told["staleExceptHolesMs"] = facts.stale_except_holes_ms
        if self._freshness.asked.explain:
            told["limitedBy"] = facts.limited_by
            told["sources"] = [_source_told(source) for source in facts.sources]
        return told

    def _others(self, name: str) -> list[Facts]:
        """Return what was served of a read model worse than its reading says."""
        return [
            self._of(serving)
            for serving in self._servings()
            if serving.read_model == name and not serving.is_plain
        ]

    def _field(self, entry: Entry) -> dict[str, Any]:
        told = {"path": list(entry.path), **self._told(entry)}
        if entry.path in self._lagging:
            told["absence"] = POSSIBLY_LAGGING
        if self._freshness.asked.explain:
            join = join_of((entry.serving, *entry.also))
            told |= {"join": _join_told(join)} if join is not None else {}
        return told

    def _possibly_lagging(self) -> Collection[Steps]:
        absences = self._freshness.records.absences
        if not absences:
            return ()
        return possibly_lagging(self._entries, absences, self._freshness.is_proven)

    def _told(self, entry: Entry) -> dict[str, Any]:
        facts = self._of(entry.serving)
        if entry.also:
            return self._said(worst_of(facts, [self._of(one) for one in entry.also]))
        said = self._said_by_facts.get(id(facts))
        if said is None:
            said = self._said_by_facts[id(facts)] = self._said(facts)
        return said

    def _said(self, facts: Facts) -> dict[str, Any]:
        said = {
            "readModel": facts.read_model,
            "sources": list(facts.names),
            "asOf": time_of(facts.as_of),
            "maxStalenessMs": facts.max_staleness_ms,
            "status": facts.status.value,
            "complete": facts.complete,
            "servedFrom": facts.served_from.value,
        }
        if facts.holes:
            said |= {
                "holes": facts.holes,
                "staleExceptHolesMs": facts.stale_except_holes_ms,
                "reason": facts.hole_error,
            }
        if self._freshness.asked.explain and facts.limited_by is not None:
            said["limitedBy"] = facts.limited_by.value
        return said

    def _of(self, serving: Serving) -> Facts:
        """Return what is proven; once for all fields that were served alike."""
        key = serving.facts_key
        facts = self._facts.get(key)
        if facts is None:
            facts = facts_of(
                serving,
                self._now_s,
                self._freshness.lagging_after_ms,
                explain=self._freshness.asked.explain,
            )
            self._facts[key] = facts
        return facts

    def _source(self, name: str) -> dict[str, Any]:
        board = self._freshness.board
        probe, tick = board.newest_probe(name), board.newest_tick(name)
        return {
            "tick": str(tick) if tick is not None else None,
            "probeAgeMs": self._age_ms(probe.monotonic_s if probe is not None else None),
            "tickAgeMs": self._age_ms(board.newest_watermark_s(name)),
        }

    def _age_ms(self, since_s: float | None) -> int | None:
        age_ms = elapsed_ms(since_s, self._now_s) if since_s is not None else None
        return age_ms if age_ms is None or age_ms <= INT_MAX else None


def _entries(freshness: OperationFreshness) -> list[Entry]:
    if freshness.plan is None:
        return []
    records = freshness.records.by_path
    return entries_of(freshness.plan, records, freshness.data, freshness.declared)


def _join_told(join: Join) -> dict[str, Any]:
    return {"spreadMs": join.spread_ms, "consistent": join.is_consistent}


def _source_told(facts: SourceFacts) -> dict[str, Any]:
    return {
        "source": facts.source,
        "asOf": time_of(facts.as_of),
        "maxStalenessMs": facts.max_staleness_ms,
        "tick": str(facts.tick) if facts.tick is not None else None,
        "limitedBy": facts.limited_by,
    }
