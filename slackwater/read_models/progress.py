"""Progress: how far a read model has applied the log, and the claims that fence its writers.

Progress is the prefix that has been applied of each partition, never the largest position seen. A
projector claims its partitions when they are assigned to it; the claim's number is its fence. A
projector that was replaced still holds an older claim, and the store refuses what it writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from slackwater.errors import StructuralError
from slackwater.event_log.port import TopicPartition


class ReadModelState(StrEnum):
    """What a projector says of itself."""

    RUNNING = "RUNNING"
    HALTED = "HALTED"
    REBUILDING = "REBUILDING"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The right to write the progress of some partitions until somebody claims them anew."""

    read_model: str
    fences: dict[TopicPartition, int]
    positions: dict[TopicPartition, int]


class ProgressUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """New next offsets, valid only while the claim's fences still stand."""

    claim: Claim
    positions: Mapping[TopicPartition, int]
    events_applied: int = 0


class ReadModelProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a reader may know of one read model's progress.

    Positions only grow, and rows read after `load` has returned hold what it says, and maybe more.
    """

    read_model: str
    version: int
    state: ReadModelState
    reason: str | None
    positions: dict[TopicPartition, int]
    events_applied: int


class UnknownReadModelError(StructuralError):
    """A read model was never registered; register it before claiming or stating anything."""

    def __init__(self, read_model: str) -> None:
        self.read_model = read_model
        super().__init__(f"read model {read_model} is not registered; register it first")


class ProgressStore(Protocol):
    """Keeps progress beside the documents; durable, and readable by every gateway."""

    async def register(self, read_model: str, version: int) -> None:
        """Make the read model known, RUNNING, with nothing applied; keeps what is there."""
        ...

    async def claim(self, read_model: str, partitions: Sequence[TopicPartition]) -> Claim:
        """Fence off every earlier claim on these partitions and return where to go on."""
        ...

    async def save(self, update: ProgressUpdate) -> None:
        """Store new positions.

        Raises:
            FencedError: a partition was claimed by somebody else since.
        """
        ...

    async def set_state(
        self, read_model: str, state: ReadModelState, reason: str | None = None
    ) -> None:
        """Say that the read model runs, was halted (and why) or is being rebuilt."""
        ...

    async def load(self) -> list[ReadModelProgress]:
        """Return the progress of all read models."""
        ...

    async def wait_for_change(self, *, timeout_ms: int) -> None:
        """Return when progress or state may have changed since the last call, or time is up.

        The first call may return at once, because nobody listened before it. One task at a time
        waits on a store: a second one could take the first one's news.
        """
        ...
