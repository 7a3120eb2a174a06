"""Progress: how far a read model has applied the log, and the claims that fence its writers.

Progress is the prefix that has been applied of each partition, never the largest position seen. It
counts in the timeline that stands beside it, and says nothing of another. A projector claims its
partitions when they are assigned to it; the claim's number is its fence. A projector that was
replaced still holds an older claim, and the store refuses what it writes.

A read model may have several versions: one is active, which readers use, and the next may be built
beside it. Each has progress of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from slackwater.errors import StructuralError
from slackwater.event_log.port import TopicPartition
from slackwater.read_models.dead_letters import DeadLetter, Hole
from slackwater.read_models.discards import Discard

FIRST_VERSION = 1


class ModelVersion(NamedTuple):
    """One version of a read model; a rebuild makes the next one."""

    read_model: str
    version: int = FIRST_VERSION

    def stored_name(self, name: str) -> str:
        """Name what this version keeps of a collection or index."""
        return f"{name}_v{self.version}"


class UnknownReadModelError(StructuralError):
    """A version of a read model was never registered; register it before anything else."""

    def __init__(self, model: ModelVersion) -> None:
        self.model = model
        super().__init__(
            f"version {model.version} of read model {model.read_model} is not registered; "
            "register it first"
        )


class ActiveVersionError(StructuralError):
    """Readers use this version; activate another one before it is forgotten."""

    def __init__(self, model: ModelVersion) -> None:
        self.model = model
        super().__init__(
            f"readers use version {model.version} of {model.read_model}; switch to another first"
        )


class LeftVersionError(StructuralError):
    """Readers have left this version meanwhile; discard of the one that they use now."""

    def __init__(self, model: ModelVersion) -> None:
        self.model = model
        super().__init__(
            f"readers have left version {model.version} of {model.read_model} meanwhile; "
            "do it again"
        )


class ReadModelState(StrEnum):
    """What a projector says of itself."""

    RUNNING = "RUNNING"
    HALTED = "HALTED"
    REBUILDING = "REBUILDING"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The right to write the progress of some partitions until somebody claims them anew."""

    model: ModelVersion
    fences: dict[TopicPartition, int]
    positions: dict[TopicPartition, int]
    timelines: dict[TopicPartition, str] = {}


class ProgressUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """New next offsets, valid only while the claim's fences still stand.

    `timelines` names the timeline of each position; without a name the stored one stays. `parked`
    holds events that are passed without being applied, in the order of their offsets; they become
    durable together with the positions, and once, however often they are saved. So do `discarded`
    ones, of which the last decision counts, and with them other versions that are not active become
    outdated. `stamp` is what a search must show so as to show all of this (`SearchIndex.refresh`).
    `moves_from` says of positions what the stored ones are at least: a store that was put back to a
    backup is behind that, and would have what lies between passed without being applied.
    """

    claim: Claim
    positions: Mapping[TopicPartition, int]
    moves_from: Mapping[TopicPartition, int] = {}
    timelines: Mapping[TopicPartition, str] = {}
    events_applied: int = 0
    parked: tuple[DeadLetter, ...] = ()
    discarded: tuple[Discard, ...] = ()
    stamp: str | None = None


class ReadModelProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a reader may know of one version's progress.

    Positions only grow, and rows read after `load` has returned hold what it says, and maybe more.
    `written` holds next offsets beyond `positions` whose rows are written and not known to be shown
    yet: they prove nothing, and only tell what is waited for.
    A partition has no timeline before anything of it was applied.
    `holes` is what the positions have passed without applying it. Where there are very many, the
    last ones are told of together (`Hole.keys`); none is left out.
    `is_outdated` says of a version that is being built that something was discarded since it was
    begun, which it may have applied: it can never be activated.
    `stamp` is the greatest that was saved: a search that shows it shows what the positions cover,
    and what was in holes that are closed.
    """

    model: ModelVersion
    active: bool
    state: ReadModelState
    reason: str | None
    positions: dict[TopicPartition, int]
    timelines: dict[TopicPartition, str] = {}
    events_applied: int
    written: dict[TopicPartition, int] = {}
    holes: tuple[Hole, ...] = ()
    is_outdated: bool = False
    stamp: str | None = None

    def has_parted(self, other: ReadModelProgress, at: TopicPartition) -> bool:
        """Tell whether this version follows a partition in another timeline than `other`."""
        return at in self.timelines and self.timelines[at] != other.timelines.get(at, "")


class ProgressStore(Protocol):
    """Keeps progress beside the documents; durable, and readable by every gateway."""

    async def register(self, model: ModelVersion) -> None:
        """Make a version known with nothing applied; keeps what is there.

        The first version of a read model is active and RUNNING, a further one REBUILDING.
        """
        ...

    async def claim(self, model: ModelVersion, partitions: Sequence[TopicPartition]) -> Claim:
        """Fence off every earlier claim on these partitions and return where to go on.

        Raises:
            UnknownReadModelError: the version is not registered.
        """
        ...

    async def save(self, update: ProgressUpdate) -> None:
        """Store new positions, and with them what is parked.

        Raises:
            FencedError: a partition was claimed by somebody else since, or is further back than it
                was known to be.
            ConflictError: of a key that events are parked behind, nothing is parked any more.
            LeftVersionError: something is discarded, and a later version is active.
        """
        ...

    async def holes(
        self, model: ModelVersion, at: TopicPartition, *, after: str = "", limit: int
    ) -> list[Hole]:
        """Return a page of a version's holes in a partition, in the order of their keys."""
        ...

    async def hole(self, model: ModelVersion, at: TopicPartition, key: str) -> Hole | None:
        """Return the hole of a key in a partition if anything of it is parked."""
        ...

    async def letters(
        self, model: ModelVersion, hole: Hole, *, after: int = -1, limit: int
    ) -> list[DeadLetter]:
        """Return a page of a hole's letters, in the order of their offsets, behind one of these."""
        ...

    async def discards(
        self, read_model: str, *, after: Discard | None = None, limit: int
    ) -> list[Discard]:
        """Return a page of what was discarded of any version, by topic, partition and offset."""
        ...

    async def close_hole(self, model: ModelVersion, hole: Hole) -> bool:
        """Remove a hole and its letters, after all that they lack was written.

        Returns:
            False when something was parked behind it since it was read; nothing is changed then.
        """
        ...

    async def note_written(self, update: ProgressUpdate) -> None:
        """Say that the rows of an update are written, while they wait to be shown.

        Positions stay where they are. Of partitions that somebody else has claimed since, nothing
        is noted.
        """
        ...

    async def set_state(
        self, model: ModelVersion, state: ReadModelState, reason: str | None = None
    ) -> None:
        """Say that the version runs, was halted (and why) or is being built.

        Raises:
            UnknownReadModelError: the version is not registered.
        """
        ...

    async def activate(self, model: ModelVersion) -> bool:
        """Let readers use this version from now on, if it has all that the active one has.

        Of a key that is parked in this version, the active one must not have applied more.
        Positions in another timeline than the active version's are not compared: its history is
        lost, and nobody will ever have it.

        Returns:
            False when it has not applied everything that the active version has, or is outdated;
            nothing is changed then. True, and it is active and RUNNING, otherwise.

        Raises:
            UnknownReadModelError: the version is not registered.
        """
        ...

    async def forget(self, model: ModelVersion) -> None:
        """Remove the progress and the dead letters of a version that is not active.

        Raises:
            ActiveVersionError: readers use it.
        """
        ...

    async def load(self) -> list[ReadModelProgress]:
        """Return the progress of every version of all read models."""
        ...

    async def active(self, read_model: str) -> int | None:
        """Return the number of the version that readers use, if any is registered.

        For whoever asks for nothing else, again and again.
        """
        ...

    async def wait_for_change(self, *, timeout_ms: int) -> None:
        """Return when progress or state may have changed since the last call, or time is up.

        The first call may return at once, because nobody listened before it. One task at a time
        waits on a store: a second one could take the first one's news.
        """
        ...


def active_entry(entries: Sequence[ReadModelProgress], read_model: str) -> ReadModelProgress | None:
    """Return the progress of the version that readers use, if any is registered."""
    return next(
        (entry for entry in entries if entry.active and entry.model.read_model == read_model), None
    )


def left_timelines(new: ReadModelProgress, old: ReadModelProgress) -> set[TopicPartition]:
    """Return the partitions that `new` follows in another timeline than `old`."""
    return {at for at in new.timelines if new.has_parted(old, at)}


def went_back(old: Mapping[TopicPartition, int], new: Mapping[TopicPartition, int]) -> bool:
    """Tell whether a position has become smaller: what kept it was put back to a backup."""
    return any(new.get(at, 0) < position for at, position in old.items())


def furthest(
    older: Mapping[TopicPartition, int], newer: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Return the later position of each: what is handed over again may end before what was."""
    return {at: max(older.get(at, 0), newer.get(at, 0)) for at in {**older, **newer}}


class Place(NamedTuple):
    """How far a partition is applied, in which timeline."""

    position: int = 0
    timeline: str | None = None


def covers(ahead: Mapping[TopicPartition, Place], behind: Mapping[TopicPartition, Place]) -> bool:
    """Tell whether `ahead` has reached every position of `behind` but those of lost timelines."""
    return all(_covers(ahead.get(at, Place()), place) for at, place in behind.items())


def has_left(ahead: Place, behind: Place) -> bool:
    """Tell whether `ahead` counts in another timeline than `behind`, whose history is lost."""
    return ahead.timeline is not None and ahead.timeline != (behind.timeline or "")


def _covers(ahead: Place, behind: Place) -> bool:
    if has_left(ahead, behind):
        return True
    return ahead.position >= behind.position
