"""A search index that shows what was written only once it is refreshed, as an engine does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slackwater.read_models.documents import Row
from slackwater.read_models.search import SavedStamp, no_stamp
from slackwater.read_models.sqlite_search import SqliteSearchIndex


class LazyIndex(SqliteSearchIndex):
    """The embedded index, read as it was at its last refresh."""

    def __init__(self, path: Path, ids: Sequence[str]) -> None:
        """`ids` are those of all rows that there may be."""
        super().__init__(path)
        self._ids = ids
        self._shown: dict[str, dict[str, Row]] = {}

    async def refresh(self, index: str, saved: SavedStamp = no_stamp) -> str:
        stamp = await super().refresh(index, saved)
        self._shown[index] = await self.get(index, self._ids)
        return stamp

    def shown(self, index: str) -> dict[str, Row]:
        """Return the rows that a search finds, by their ids."""
        return self._shown.get(index, {})
