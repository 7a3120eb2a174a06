"""Document read models as a port: rows of JSON, guarded writes, and progress in the same step.

A row belongs to one aggregate and carries that aggregate's version. A row whose own aggregate has
not been applied yet has version 0 and is invisible to readers, even if other aggregates have
already left their traces in it (an order's events may arrive before its customer's).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from slackwater.capability import Capability
from slackwater.errors import PoisonousEventError, StructuralError
from slackwater.read_models.progress import ProgressStore, ProgressUpdate

Document = dict[str, Any]
"""JSON: str, int (64 bits), float, bool, None, list and dict only; `id` is the row's id."""


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """Paths (dotted) in their order; every query must be served by a stated index."""

    paths: tuple[str, ...]
    unique: bool = False


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """A named set of rows with the indexes that its queries need."""

    name: str
    indexes: tuple[Index, ...] = ()


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A stored row. `revision` counts its writes and is the guard of the next one."""

    id: str
    version: int
    revision: int
    document: Document


class RowWrite(msgspec.Struct, frozen=True, kw_only=True):
    """A row to write if it is still at `expected_revision` (0: it must not exist)."""

    collection: str
    id: str
    version: int
    expected_revision: int
    document: Document


def written_back(collection: str, row: Row) -> RowWrite:
    """Return the write that leaves a row as it was read."""
    return RowWrite(
        collection=collection,
        id=row.id,
        version=row.version,
        expected_revision=row.revision,
        document=row.document,
    )


class TakenValueError(PoisonousEventError):
    """A row repeats the value of another in a unique index; let the owner of the value mend it."""


class UnstorableDocumentError(PoisonousEventError):
    """A document holds what the store cannot keep; mend the projection."""

    def __init__(self, row: RowWrite, reason: object) -> None:
        self.collection = row.collection
        self.id = row.id
        super().__init__(
            f"row {row.id} of {row.collection} cannot be stored: {reason}; mend the projection"
        )


class UnknownCollectionError(StructuralError):
    """A collection does not exist; prepare it first, or read the version that is in use."""

    def __init__(self, collection: str) -> None:
        self.collection = collection
        super().__init__(
            f"collection {collection} does not exist; prepare it first, or read the version of its "
            "read model that is in use"
        )


class Operator(StrEnum):
    """How a condition compares the value at its path."""

    EQUAL = "EQUAL"
    ANY_OF = "ANY_OF"
    AT_LEAST = "AT_LEAST"
    BELOW = "BELOW"
    STARTS_WITH = "STARTS_WITH"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One condition on a scalar at a dotted path; `value` is a list for ANY_OF."""

    path: str
    operator: Operator
    value: Any


class Sort(msgspec.Struct, frozen=True, kw_only=True):
    """One sort key; rows are finally ordered by the last key, which must be unique (`id`)."""

    path: str
    descending: bool = False


class Find(msgspec.Struct, frozen=True, kw_only=True):
    """A page of visible rows: all conditions hold, sorted, strictly behind `after`.

    `after` holds the sort values of the last row of the page before. All sort keys have the same
    direction.
    """

    collection: str
    where: tuple[Condition, ...] = ()
    order: tuple[Sort, ...] = (Sort(path="id"),)
    after: tuple[Any, ...] | None = None
    limit: int = 100


class DocumentStoreCapability(Capability):
    """What a document store can do beyond what every one must."""

    DURABLE_COMMITS = (
        "DURABLE_COMMITS",
        "after a power failure the newest documents are folded again from the log, and are as "
        "stale until then as their bounds say",
    )
    """A commit that returned outlives a power failure."""
    SEVERAL_MACHINES = "SEVERAL_MACHINES", "gateways and projectors run where the file is"
    """Processes on any machine use the same documents and progress."""


class DocumentStore(Protocol):
    """Documents and their progress in one store; several processes use it at once."""

    @property
    def capabilities(self) -> frozenset[DocumentStoreCapability]: ...

    @property
    def progress(self) -> ProgressStore:
        """The progress that is written in one step with documents."""
        ...

    async def prepare(self, collections: Sequence[Collection]) -> None:
        """Create collections and indexes that are missing; keep what is there."""
        ...

    async def get(self, collection: str, ids: Sequence[str]) -> dict[str, Row]:
        """Return the rows that exist, by id; invisible ones (version 0) too.

        Raises:
            UnknownCollectionError: the collection was never prepared, or is not the one that was.
        """
        ...

    async def find(self, query: Find) -> list[Row]:
        """Return a page of visible rows."""
        ...

    async def count(self, collection: str, where: Sequence[Condition] = ()) -> int:
        """Count visible rows."""
        ...

    async def require(self, collection: str) -> None:
        """Make sure that a collection exists after something was missing in what was read of it.

        Of one that does not exist, a store may refuse every read, as it must where rows are asked
        for by their ids, or find it empty.

        Raises:
            UnknownCollectionError: it does not, so what was read proves nothing.
        """
        ...

    async def commit(self, rows: Sequence[RowWrite], progress: ProgressUpdate) -> None:
        """Write all rows and the progress, or nothing.

        Raises:
            FencedError: a partition of the progress was claimed by somebody else.
            ConflictError: a row is not at its expected revision.
            TakenValueError: a unique index refuses a row.
            UnstorableDocumentError: a document is too large, or no JSON with integers of 64 bits.
        """
        ...

    async def drop(self, collections: Sequence[str]) -> None:
        """Remove collections with all their rows."""
        ...

    async def close(self) -> None: ...
