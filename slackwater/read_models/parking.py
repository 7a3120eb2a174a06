"""Parking: which keys of its partitions somebody has parked, and what must wait behind them.

A key is the partition key of an event, within one topic: the log orders nothing beyond that, and
all of it may change the same thing. So once one event of a key is parked, every later one of
that key and topic is parked behind it, whatever aggregate it is of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from slackwater.clock import Clock
from slackwater.errors import SlackwaterError, StructuralError
from slackwater.event_log.port import Record, TopicPartition
from slackwater.read_models.dead_letters import DeadLetter, Hole

LETTERS_MAX = 100_000
"""How many events of one partition are parked at most, before whoever parks them halts."""

Documents = Callable[[Record], tuple[str, ...] | None]
"""Returns the ids of the documents that an event may change; None where nobody knows."""


class ParkingFullError(StructuralError):
    """As many events of a partition are parked as are kept; mend what parks them."""

    def __init__(self, name: str, at: TopicPartition, letters_max: int) -> None:
        self.topic_partition = at
        super().__init__(
            f"{letters_max} events of {at.topic}[{at.partition}] are parked, and no more are kept; "
            f"mend what parks them, run `slackwater dead-letter replay {name} --yes`, and "
            "start it again"
        )


class Parking:
    """Of one projector or consumer, for the partitions that are assigned to it."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        documents: Documents = lambda _: None,
        letters_max: int = LETTERS_MAX,
    ) -> None:
        """`name` is the one by which what is parked is replayed."""
        self._name = name
        self._clock = clock
        self._documents = documents
        self._letters_max = letters_max
        self._first: dict[tuple[TopicPartition, str], int] = {}
        self._letters: Counter[TopicPartition] = Counter()

    def know(self, hole: Hole) -> None:
        """Begin with what was parked before the partitions were claimed."""
        assert hole.key is not None
        self._first[hole.at, hole.key] = hole.offset
        self._letters[hole.at] += hole.letters

    def split(self, records: Sequence[Record]) -> tuple[list[Record], list[DeadLetter]]:
        """Return records that may be applied, and the letters of those that wait behind a hole."""
        free, behind = [], []
        for record in records:
            if self._holds(record):
                behind.append(self.letter(record))
            else:
                free.append(record)
        return free, behind

    def letter(self, record: Record, error: SlackwaterError | None = None) -> DeadLetter:
        """Return the letter of a record: of a poisonous one, or of one that waits behind it."""
        return DeadLetter(
            record=record,
            documents=self._documents(record),
            error=type(error).__name__ if error is not None else None,
            reason=str(error) if error is not None else None,
            parked_at=self._clock.now(),
        )

    def has_room(self, letters: Sequence[DeadLetter]) -> bool:
        """Tell whether so many more may be parked."""
        return self._full(letters) is None

    def check_room(self, letters: Sequence[DeadLetter]) -> None:
        """Make sure that so many more may be parked.

        Raises:
            ParkingFullError: they may not.
        """
        full = self._full(letters)
        if full is not None:
            raise ParkingFullError(self._name, full, self._letters_max)

    def take(self, letters: Iterable[DeadLetter]) -> None:
        """Remember letters that were parked."""
        for letter in letters:
            record = letter.record
            self._first.setdefault((record.topic_partition, record.key), record.offset)
            self._letters[record.topic_partition] += 1

    def _holds(self, record: Record) -> bool:
        first = self._first.get((record.topic_partition, record.key)) if self._first else None
        return first is not None and record.offset >= first

    def _full(self, letters: Sequence[DeadLetter]) -> TopicPartition | None:
        """Return the partition that would hold too many."""
        for at, count in Counter(one.record.topic_partition for one in letters).items():
            if self._letters[at] + count > self._letters_max:
                return at
        return None
