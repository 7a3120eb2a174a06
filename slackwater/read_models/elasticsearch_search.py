"""Search read models in Elasticsearch.

A write is acknowledged when it is in the translog on disk, on the primary and on every copy that
counts as in sync. It is guarded by its aggregate's version, in Elasticsearch itself; what is stored
in place of an older one is acknowledged in the same way before a write returns. Searches show it
after the next refresh; nothing but `refresh` refreshes, so progress that is saved behind it never
covers what cannot be found. A search that did not see the whole index, or saw a copy of it that was
left behind, is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from slackwater.read_models.documents import Row, RowWrite, written_back
from slackwater.read_models.elasticsearch_bulk import Bulk, bulks_of, refused_of
from slackwater.read_models.elasticsearch_client import connect, require_version
from slackwater.read_models.elasticsearch_cursor import CursorSigner, SnapshotCursor
from slackwater.read_models.elasticsearch_errors import (
    SearchUnavailableError,
    error_of,
    failure,
    told_by_kind,
)
from slackwater.read_models.elasticsearch_indexes import Indexes
from slackwater.read_models.elasticsearch_mapping import checked
from slackwater.read_models.elasticsearch_pages import Page, Pages
from slackwater.read_models.elasticsearch_query import Place, folded_words, hits_of, search_body
from slackwater.read_models.elasticsearch_refresh import SharedRefresh
from slackwater.read_models.elasticsearch_snapshots import Snapshots
from slackwater.read_models.elasticsearch_stamps import IS_MARK, Stamps
from slackwater.read_models.search import (
    Index,
    SavedStamp,
    SearchCapability,
    SearchRequest,
    SearchResult,
    UnconfirmedError,
    no_stamp,
)

_UNAVAILABLE = 503
_WRITE_BACKS_MAX = 10
_COUNT: dict[str, Any] = {
    "query": {"bool": {"must_not": IS_MARK}},
    "size": 0,
    "track_total_hits": True,
}


class ElasticsearchSearchIndex:
    """Implements `SearchIndex`; any number of them, in any process, may use the same cluster."""

    capabilities = frozenset(SearchCapability) - {SearchCapability.STEADY_SCORES}

    def __init__(
        self,
        url: str,
        *,
        secret: bytes,
        prefix: str = "",
        api_key: str | None = None,
        ca_certs: str | None = None,
        timeout_ms: int = 10_000,
        refresh_interval_ms: int = 200,
        snapshot_keep_ms: int = 60_000,
        snapshots_max: int = 100,
    ) -> None:
        """Use the cluster at `url`.

        Args:
            url: of a node or a balancer; may hold `user:password@`.
            secret: signs the cursors; shared by all gateways.
            prefix: of every name in the cluster; it sets installations apart.
            api_key: in place of a user.
            ca_certs: a file with the certificates to trust, for https.
            timeout_ms: deadline of each request; the server gives up a little before.
            refresh_interval_ms: between two refreshes by this process; the floor of search.
            snapshot_keep_ms: how long after a page the next one still sees the same state.
            snapshots_max: how many searches of this process are kept open for their next page.

        Raises:
            ConfigurationError: the URL is none, or there are two ways to authenticate.
        """
        self._client = connect(url, api_key=api_key, ca_certs=ca_certs, timeout_ms=timeout_ms)
        self._timeout = f"{timeout_ms * 4 // 5}ms"
        self._prefix = prefix
        self._cursors = CursorSigner(secret)
        self._indexes = Indexes(self._client, timeout=self._timeout)
        snapshots = Snapshots(self._client, keep_ms=snapshot_keep_ms, open_max=snapshots_max)
        self._pages = Pages(self._client, snapshots, timeout=self._timeout)
        self._stamps = Stamps(self._client, timeout=self._timeout)
        self._refresh_interval_ms = refresh_interval_ms
        self._refreshes: dict[str, SharedRefresh] = {}
        self._saved: dict[str, SavedStamp] = {}

    async def prepare(self, index: Index, *, may_create: bool = True) -> None:
        """Create the index behind its alias if it is missing; new boosts replace the old ones.

        Raises:
            ChangedIndexError: the index exists with other fields.
            ConfigurationError: the server is another version, or refuses us.
            UnknownIndexError: it is missing, and may not be created.
        """
        alias = self._alias(index.name)
        await require_version(self._client)
        await self._indexes.prepare(index, alias, may_create=may_create)

    async def get(self, index: str, ids: Sequence[str]) -> dict[str, Row]:
        if not ids:
            return {}
        with told_by_kind(index):
            reply = await self._client.mget(
                index=self._alias(index), ids=ids, realtime=True, source_includes=["document"]
            )
        rows = (_row(index, found) for found in reply["docs"])
        return {row.id: row for row in rows if row is not None}

    async def write(self, index: str, rows: Sequence[RowWrite]) -> None:
        """Write each row whose version is newer than the stored one; drop the others.

        Raises:
            SearchUnavailableError: not all was written; the same rows may be written again.
            UnindexableRowError: a row can never be written; some of the others may have been.
        """
        refused = await self._write(index, rows)
        if refused:
            await self._write_back(index, {row.id: row for row in refused})

    async def confirm(self, index: str, read: Mapping[str, int]) -> None:
        """Write documents back, so that every copy in sync acknowledges them.

        Raises:
            UnconfirmedError: a document is gone, or older than it was.
        """
        if read:
            await self._write_back(index, read)

    def resume(self, index: str, stamp: str) -> None:
        self._stamps.resume(index, stamp)

    async def refresh(self, index: str, saved: SavedStamp = no_stamp) -> str:
        """Return after a refresh that began after this call; callers at one time share it.

        Raises:
            LostWritesError: the index does not have what it had at a stamp before.
            SearchUnavailableError: a copy of the index could not be refreshed.
        """
        self._saved[index] = saved
        if index not in self._refreshes:
            self._refreshes[index] = SharedRefresh(
                lambda: self._refresh(index), interval_ms=self._refresh_interval_ms
            )
        return await self._refreshes[index].wait()

    async def search(self, request: SearchRequest) -> SearchResult:
        """Search what was refreshed; a page that is full keeps its snapshot for the next one.

        When a cursor's snapshot is gone, the search goes on behind its hit in the index as it is
        now: what was written meanwhile may then be repeated or skipped.

        Raises:
            InvalidCursorError: `after` is no cursor of a hit in this index.
            PartialResultError: not all of the index could be searched, or not its newest copy.
        """
        after = None if request.after is None else self._place(request.after, request.index)
        words = folded_words(request.text)
        if not words:
            return SearchResult(hits=[], total=0)
        body = search_body(await self._definition(request.index), request, words)
        with told_by_kind(request.index):
            page = await self._pages.read(
                request.index,
                self._alias(request.index),
                body,
                after,
                anew=request.anew,
                stamp=request.stamp,
            )
        return SearchResult(
            hits=hits_of(page.reply, lambda place: self._cursor(request.index, place, page)),
            total=page.reply["hits"]["total"]["value"],
            is_kept=page.is_kept,
        )

    async def count(self, index: str, stamp: str | None = None) -> int:
        """Count what was refreshed.

        Raises:
            PartialResultError: not all of the index could be searched, or not its newest copy.
        """
        with told_by_kind(index):
            page = await self._pages.read(index, self._alias(index), _COUNT, None, stamp=stamp)
        return int(page.reply["hits"]["total"]["value"])

    async def drop(self, index: str) -> None:
        self._stamps.forget(index)
        await self._indexes.drop(index, self._alias(index))

    async def close(self) -> None:
        for refresh in self._refreshes.values():
            await refresh.close()
        await self._client.close()

    def _alias(self, index: str) -> str:
        return f"{self._prefix}{checked(index)}"

    async def _definition(self, index: str) -> Index:
        return await self._indexes.definition(index, self._alias(index))

    def _place(self, cursor: str, index: str) -> SnapshotCursor:
        return self._cursors.decode(cursor, index=index)

    def _cursor(self, index: str, place: Place, page: Page) -> str:
        return self._cursors.encode(SnapshotCursor(index, place.score, place.id, page.snapshot))

    async def _write_back(self, index: str, wanted: Mapping[str, RowWrite | int]) -> None:
        """Write what is stored in place of rows, or under ids that had at least some version.

        A copy may lag behind what it is read from: a row itself is newer then.
        """
        for _ in range(_WRITE_BACKS_MAX):
            stored = await self.get(index, [*wanted])
            newest = [
                _newest(index, row_id, stored.get(row_id), row_or_version)
                for row_id, row_or_version in wanted.items()
            ]
            refused = await self._write(index, newest, back=True)
            if not refused:
                return
            wanted = {row.id: row for row in refused}
        raise SearchUnavailableError(
            f"rows of search index {index} are written by others without a pause; try again"
        )

    async def _write(
        self, index: str, rows: Sequence[RowWrite], *, back: bool = False
    ) -> list[RowWrite]:
        """Send rows; return those that the primary has as new, or newer."""
        definition = await self._definition(index)
        bulks = bulks_of(definition, rows, writes_back=back)
        return [row for bulk in bulks for row in await self._send(index, bulk)]

    async def _send(self, index: str, bulk: Bulk) -> list[RowWrite]:
        with told_by_kind(index):
            reply = await self._client.bulk(
                index=self._alias(index),
                operations=cast("Sequence[Mapping[str, Any]]", bulk.lines),
                require_alias=True,
                refresh=False,
                wait_for_active_shards=1,
                timeout=self._timeout,
            )
        return refused_of(index, bulk.rows, reply["items"]) if reply["errors"] else []

    async def _refresh(self, index: str) -> str:
        stamp = await self._stamps.give(index, self._alias(index), self._saved[index])
        with told_by_kind(index):
            reply = await self._client.indices.refresh(index=self._alias(index))
        shards = reply["_shards"]
        # A primary that is away counts as not successful and not as failed either.
        if shards["failed"] or not shards["successful"]:
            raise SearchUnavailableError(
                f"search index {index} was not refreshed on all copies ({shards}); try again"
            )
        return stamp


def _newest(index: str, row_id: str, stored: Row | None, wanted: RowWrite | int) -> RowWrite:
    version = wanted if isinstance(wanted, int) else wanted.version
    if stored is not None and stored.version >= version:
        return written_back(index, stored)
    if isinstance(wanted, int):
        raise UnconfirmedError(index, row_id)
    return wanted


def _row(index: str, found: Mapping[str, Any]) -> Row | None:
    if "error" in found:
        raise error_of(index, failure(_UNAVAILABLE, found["error"]))
    if not found["found"]:
        return None
    version = found["_version"]
    return Row(
        id=found["_id"],
        version=version,
        revision=version,
        document=found["_source"]["document"],
    )
