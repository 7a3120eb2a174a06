"""The tally of a unit of work: what it has changed and told so far, statement by statement.

What a savepoint takes back counts no more, neither as a change nor as an event. Statements are seen
as they reach the driver, no matter whether SQLAlchemy wrote them or the service did:

    constructs          by their table: those of the kernel are no state of the service
    SQL as a text       by its words: whatever may write counts, also into a table of the kernel
    the driver's own    not seen; do not go around SQLAlchemy
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement, Connection, Engine, Table, event
from sqlalchemy.sql.dml import UpdateBase

from slackwater.outbox.tables import is_infrastructure

_TALLY = "slackwater_tally"
_STATEMENTS_MAX = 1_000
_FLAT_COMMENT = r"/\*(?:[^*]|\*(?!/))*\*/"
_NESTED_COMMENT = rf"/\*(?:[^*/]|\*(?!/)|/(?!\*)|{_FLAT_COMMENT})*\*/"  # once, which will do
_COMMENT = rf"{_NESTED_COMMENT}|{_FLAT_COMMENT}|--[^\n]*"
_LITERAL = r"\bE'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"
_NAME = r'"(?:[^"]|"")*"'
# Looked for at once, so that none is found inside another.
_NO_WORDS = re.compile(
    f"(?P<name>{_NAME})|(?P<literal>{_LITERAL})|{_COMMENT}", re.IGNORECASE | re.DOTALL
)
_LOCKING = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
_BEGINS_WRITING = re.compile(
    r"[\s(]*(?:INSERT|UPDATE|DELETE|REPLACE|MERGE|TRUNCATE|COPY|CALL|DO|EXECUTE)\b", re.IGNORECASE
)
_CONTAINS_WRITING = re.compile(
    r"\b(?:(?:INSERT|MERGE|REPLACE|INSERT\s+OR\s+\w+)\s+INTO|DELETE\s+FROM"
    r"|UPDATE\s+\S+.*?\bSET)\b",
    re.IGNORECASE | re.DOTALL,
)
_SAVEPOINT = re.compile(
    r"\s*(?:(?P<set>SAVEPOINT)"
    r"|(?P<undo>ROLLBACK\s+(?:(?:WORK|TRANSACTION)\s+)?TO)(?:\s+SAVEPOINT)?"
    rf"|(?P<release>RELEASE)(?:\s+SAVEPOINT)?)\s*(?P<name>{_NAME}|[^\s;]+)",
    re.IGNORECASE,
)


class _Mark(NamedTuple):
    """What had been counted when a savepoint was set."""

    name: str
    changes: int
    events: int


class Tally:
    """Counts changes of state and events, with the savepoints that are set."""

    def __init__(self) -> None:
        self.changes = 0
        self.events = 0
        self._excuses = 0
        self._marks: list[_Mark] = []

    def add_change(self) -> None:
        if not self._excuses:
            self.changes += 1

    def add_event(self) -> None:
        self.events += 1

    @contextmanager
    def excusing(self) -> Iterator[None]:
        """Count no changes inside, however deep it is nested and however it is left."""
        self._excuses += 1
        try:
            yield
        finally:
            self._excuses -= 1

    def set_savepoint(self, name: str) -> None:
        self._marks.append(_Mark(name, self.changes, self.events))

    def undo_to(self, name: str) -> None:
        """Forget what was counted since; the savepoint stays. One of before undoes everything."""
        mark = self._leave(name) or _Mark(name, 0, 0)
        self.changes, self.events = mark.changes, mark.events
        self._marks.append(mark)

    def release(self, name: str) -> None:
        self._leave(name)

    def _leave(self, name: str) -> _Mark | None:
        """Take the newest savepoint of that name away, with those inside it."""
        while self._marks:
            mark = self._marks.pop()
            if mark.name == name:
                return mark
        return None


@contextmanager
def tallying(connection: Connection) -> Iterator[Tally]:
    """Begin a tally of what is done on the connection; it ends with the context."""
    outer = connection.info.get(_TALLY)
    connection.info[_TALLY] = tally = Tally()
    try:
        yield tally
    finally:
        connection.info[_TALLY] = outer


def tally_of(connection: Connection) -> Tally | None:
    """Return the tally that goes on; None outside a unit of work that runs."""
    tally: Tally | None = connection.info.get(_TALLY)
    return tally


def watch_state_changes(engine: Engine) -> None:
    """Let tallies see what connections of this engine execute."""

    @event.listens_for(engine, "after_cursor_execute")
    def see(connection: Connection, _: Any, statement: str, *more: Any) -> None:
        tally = tally_of(connection)
        if tally is not None:
            context = more[1]
            _count(tally, getattr(context.compiled, "statement", None), statement)


def _count(tally: Tally, construct: ClauseElement | None, sql: str) -> None:
    if isinstance(construct, UpdateBase):
        if _is_of_service(construct):
            tally.add_change()
    else:
        for statement in _statements(sql):
            _count_statement(tally, statement)


def _count_statement(tally: Tally, bare: str) -> None:
    if _writes(bare):
        tally.add_change()
    elif (savepoint := _SAVEPOINT.match(bare)) is not None:
        name = savepoint["name"].strip('"').lower()
        if savepoint["set"]:
            tally.set_savepoint(name)
        elif savepoint["undo"]:
            tally.undo_to(name)
        else:
            tally.release(name)


def _is_of_service(statement: UpdateBase) -> bool:
    table = statement.table
    return not (isinstance(table, Table) and is_infrastructure(table))


def may_write(sql: str) -> bool:
    """Tell whether SQL may change rows, by its words; functions that it calls may, too."""
    return any(_writes(statement) for statement in _statements(sql))


@lru_cache(_STATEMENTS_MAX)
def _statements(sql: str) -> tuple[str, ...]:
    """Return the statements of a text, without comments and without what literals say."""
    return tuple(_NO_WORDS.sub(_bare, sql).split(";"))


def _bare(match: re.Match[str]) -> str:
    return match["name"] or ("''" if match["literal"] else " ")


@lru_cache(_STATEMENTS_MAX)
def _writes(bare: str) -> bool:
    unlocked = _LOCKING.sub(" ", bare)
    return bool(_BEGINS_WRITING.match(unlocked) or _CONTAINS_WRITING.search(unlocked))
