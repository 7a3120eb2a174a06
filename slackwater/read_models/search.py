"""Search read models as a port: text documents, guarded by version, visible after a refresh.

One search document belongs to one aggregate and carries its version. Progress is kept outside the
index: it is saved only after a refresh that began after the last write was acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from slackwater.read_models.documents import Row, RowWrite


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

    `after` is the `cursor` of the last hit of the page before.
    """

    index: str
    text: str
    kinds: tuple[str, ...] = ()
    after: str | None = None
    limit: int = 20


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
    """A page of hits, best first, and how many there are in all."""

    hits: list[Hit]
    total: int


class SearchIndex(Protocol):
    """The search engine; several processes use it at once."""

    async def prepare(self, index: Index) -> None:
        """Create the index if it is missing."""
        ...

    async def get(self, index: str, ids: Sequence[str]) -> dict[str, Row]:
        """Return the newest written documents, refreshed or not."""
        ...

    async def write(self, index: str, rows: Sequence[RowWrite]) -> None:
        """Write each row whose version is newer than the stored one; drop the others."""
        ...

    async def refresh(self, index: str) -> None:
        """Make visible to searches what was written before this call."""
        ...

    async def search(self, request: SearchRequest) -> SearchResult:
        """Search what was refreshed."""
        ...

    async def count(self, index: str) -> int: ...

    async def drop(self, index: str) -> None: ...

    async def close(self) -> None: ...
