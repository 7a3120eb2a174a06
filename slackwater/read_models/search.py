"""Search read models as a port: text documents, guarded by version, visible after a refresh.

One search document belongs to one aggregate and carries its version. Progress is kept outside the
index: it is saved only after a refresh that began after the last write was acknowledged. A search
that could not see the whole index is an error, never a shorter answer.

An engine with several copies of an index may answer from one that lacks what the others have been
given, and any index may be put back to a backup. So each refresh gives a *stamp*, a text that is
greater the later it is, and that no search shows which lacks anything that was acknowledged before
it. Progress is saved with it, and who reads progress asks for no less.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from slackwater.capability import Capability
from slackwater.errors import PoisonousEventError, StructuralError, TransientError
from slackwater.read_models.documents import Row, RowWrite


class UnknownIndexError(StructuralError):
    """A search index does not exist; prepare it first, or rebuild its read model if it was lost."""

    def __init__(self, index: str) -> None:
        self.index = index
        super().__init__(
            f"search index {index} does not exist; prepare it first, or rebuild its read model if "
            "it was there"
        )


class ChangedIndexError(StructuralError):
    """A search index exists with other fields; drop it and rebuild it."""

    def __init__(self, index: str) -> None:
        self.index = index
        super().__init__(f"search index {index} has other fields; drop it and rebuild it")


class UnindexableRowError(PoisonousEventError):
    """A row can never be put into its index; mend the projection, or the event it comes from."""

    def __init__(self, row: RowWrite, reason: object) -> None:
        self.row_id = row.id
        super().__init__(
            f"row {row.id} at version {row.version} cannot be put into search index "
            f"{row.collection} ({reason}); mend the projection or the event"
        )


class UnconfirmedError(TransientError):
    """A document is not stored as it was read, or a copy lags behind; read it anew."""

    def __init__(self, index: str, row_id: str) -> None:
        super().__init__(
            f"row {row_id} of search index {index} is not stored as it was read; try again"
        )


class LostWritesError(StructuralError):
    """A search index lacks what was acknowledged; rebuild its read model."""

    def __init__(self, index: str) -> None:
        self.index = index
        super().__init__(
            f"search index {index} lacks what was written to it and acknowledged: it was put back "
            "to a backup, or another one took its place; build the next version of its read model "
            "with `slackwater rebuild`"
        )


class PartialResultError(TransientError):
    """A search saw only a part of its index, so what it missed is unknown; try again."""

    def __init__(self, index: str, reason: str) -> None:
        self.index = index
        super().__init__(f"search index {index} answered only in part ({reason}); try again")


class SearchCapability(Capability):
    """What a search engine can do beyond what every one must."""

    FUZZY = "FUZZY", "a misspelt word finds nothing, even if `fuzzy` is asked for"
    """`SearchRequest.fuzzy` also finds misspelt words."""
    STABLE_PAGES = "STABLE_PAGES", "a hit may move to another page while documents are written"
    """The pages of one search show one state of the index, whatever is written meanwhile."""
    STEADY_SCORES = "STEADY_SCORES", "a score drifts with every write, also with a repeated one"
    """Scores go by what is stored, however often it was written."""
    SEVERAL_MACHINES = "SEVERAL_MACHINES", "gateways and projectors run where the file is"
    """Processes on any machine use the same index."""


class SearchField(msgspec.Struct, frozen=True, kw_only=True):
    """A text field; a match in a field with a greater boost ranks higher."""

    name: str
    boost: float = 1.0


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """A search index: documents hold a text for each field, and a `kind` to filter by.

    Everything else in a document is kept but not searched.
    """

    name: str
    fields: tuple[SearchField, ...]


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Words, all of which must match, the last one also as a prefix; any case, any accent.

    `after` is the `cursor` of the last hit of the page before; with `anew` the page shows the index
    as it is now even where the state of that page is kept. `fuzzy` asks for documents with misspelt
    words, too, behind the others; an engine that cannot do it (see `SearchCapability`) leaves them
    out. An answer that is not kept shows `stamp`, where one is given.
    """

    index: str
    text: str
    kinds: tuple[str, ...] = ()
    fuzzy: bool = False
    after: str | None = None
    anew: bool = False
    limit: int = 20
    stamp: str | None = None


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One match; a greater score is a better one. Snippets mark matches with `<em>…</em>`.

    Snippets are HTML-escaped, so that a page may show them as they are.
    """

    id: str
    kind: str
    score: float
    highlights: dict[str, list[str]]
    cursor: str


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """A page of hits, best first, and how many there are in all.

    `is_kept` says that it shows the state of the page before, which was kept: what has been
    refreshed since then is missing.
    """

    hits: list[Hit]
    total: int
    is_kept: bool = False


SavedStamp = Callable[[], Awaitable[str | None]]


async def no_stamp() -> str | None:
    """Nothing was saved, for those who keep no progress."""
    return None


class SearchIndex(Protocol):
    """The search engine; several processes use it at once."""

    @property
    def capabilities(self) -> frozenset[SearchCapability]: ...

    async def prepare(self, index: Index, *, may_create: bool = True) -> None:
        """Create the index if it is missing; new boosts replace the old ones.

        Raises:
            ChangedIndexError: the index exists with other fields.
            UnknownIndexError: it is missing, and may not be created.
        """
        ...

    async def get(self, index: str, ids: Sequence[str]) -> dict[str, Row]:
        """Return the newest written documents, refreshed or not."""
        ...

    async def write(self, index: str, rows: Sequence[RowWrite]) -> None:
        """Write each row whose version is newer than the stored one; drop the others.

        What is stored in place of those is as durable when this returns, whoever wrote it.
        """
        ...

    async def confirm(self, index: str, read: Mapping[str, int]) -> None:
        """Make documents that were read as durable as what we write, whoever wrote them.

        Args:
            index: its name.
            read: the ids, each with the version that was read.

        Raises:
            UnconfirmedError: a document is older than that, or gone.
        """
        ...

    def resume(self, index: str, stamp: str) -> None:
        """Go by the stamp that was saved, empty of none, whatever was known before.

        Progress may have been put back together with the index, or be that of another index of this
        name.
        """
        ...

    async def refresh(self, index: str, saved: SavedStamp = no_stamp) -> str:
        """Make visible to searches what was written before this call.

        Args:
            index: its name.
            saved: returns the greatest stamp that was saved; is asked where somebody else may have
                refreshed the index, or put another one in its place.

        Returns:
            The stamp of what is visible now.

        Raises:
            LostWritesError: what was visible at a stamp before is there no more.
        """
        ...

    async def search(self, request: SearchRequest) -> SearchResult:
        """Search what was refreshed.

        Raises:
            InvalidCursorError: `after` is no cursor of a hit.
            PartialResultError: not all of the index could be searched, or not its newest copy.
        """
        ...

    async def count(self, index: str, stamp: str | None = None) -> int:
        """Count what was refreshed.

        Raises:
            PartialResultError: as for `search`.
        """
        ...

    async def drop(self, index: str) -> None: ...

    async def close(self) -> None: ...
