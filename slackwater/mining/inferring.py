"""Events that are not rows yet: of each transaction that the log brings, what must become rows.

What lies before the stored position has become rows already, and comes again because the server
sends what nobody has confirmed; it is left out. Messages are events by themselves; of a big
transaction some may become rows before the others have come. Changed rows are gathered until their
transaction is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from slackwater.errors import StructuralError
from slackwater.events.event import Event
from slackwater.mining.mapping import RowChange, RowMapping
from slackwater.mining.pgoutput import Begin, Commit, Message
from slackwater.mining.reading import Reading
from slackwater.outbox.mined import Position

_CHANGES_MAX = 200_000


class HugeTransactionError(StructuralError):
    """A transaction has changed more rows than are inferred from at once; commit fewer together."""


class Inferring:
    """Makes events of what the log brings behind a position, and counts the position on."""

    def __init__(
        self,
        source: str,
        reading: Reading,
        mapping: RowMapping | None,
        stored: Position | None,
    ) -> None:
        self._source = source
        self._reading = reading
        self._mapping = mapping
        self.position = stored or Position(0)
        """The place behind everything that was taken in."""
        self._stored_lsn, self._stored_left = self.position
        self._is_stored = False
        self._committed_at = datetime.now(UTC)
        self._changes: list[RowChange] = []

    def begin(self, begin: Begin) -> None:
        """A transaction follows."""
        self._is_stored = begin.commit_lsn < self._stored_lsn
        self._committed_at = begin.committed_at

    def take(self, message: Message) -> Sequence[Event]:
        """Return the events that a message or change is.

        Raises:
            StructuralError: it cannot be understood, or is too much.
        """
        if self._is_stored:
            return []
        if (event := self._reading.emitted(message)) is not None:
            return self._take_one(event)
        if (change := self._reading.change(message)) is not None:
            self._keep(change)
        return []

    def commit(self, commit: Commit) -> list[Event]:
        """Return the events that the changes of the transaction mean together.

        Raises:
            UnmappableError: the mapping asks for a column that is missing.
        """
        if self._is_stored:
            return []
        changes, self._changes = self._changes, []
        events = self._infer(changes) if changes else []
        self.position = Position(commit.end_lsn, self._stored_left)
        return events

    def _take_one(self, event: Event) -> Sequence[Event]:
        if self._stored_left > 0:
            self._stored_left -= 1
            return []
        self.position = self.position._replace(taken=self.position.taken + 1)
        return [event]

    def _keep(self, change: RowChange) -> None:
        if len(self._changes) >= _CHANGES_MAX:
            raise HugeTransactionError(
                f"a transaction of {self._source} changes more than {_CHANGES_MAX} rows: commit "
                "fewer at once; drop the slot with pg_drop_replication_slot to begin a new "
                "timeline with the rows that there are"
            )
        self._changes.append(change)

    def _infer(self, changes: list[RowChange]) -> list[Event]:
        assert self._mapping is not None, "changes are read for a mapping only"
        return self._mapping.events(self._source, changes, self._committed_at)
