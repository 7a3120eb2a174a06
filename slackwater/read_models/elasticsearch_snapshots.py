"""Snapshots of an index for paging (points in time), as few and as short-lived as can be.

A snapshot keeps segments and their files alive in the cluster, so each process holds a bounded
number of them open: one more closes the one that was used longest ago. A search whose snapshot is
gone goes on in a new one from the same place.
"""

from __future__ import annotations

from collections import OrderedDict

from elasticsearch import ApiError, AsyncElasticsearch, TransportError


class Snapshots:
    """The points in time that this process has opened."""

    def __init__(self, client: AsyncElasticsearch, *, keep_ms: int, open_max: int) -> None:
        """Keep each snapshot for `keep_ms` after its last use, and at most `open_max` of them."""
        self.keep_alive = f"{keep_ms}ms"
        self._client = client
        self._open_max = open_max
        self._opened: OrderedDict[str, None] = OrderedDict()

    async def open(self, alias: str) -> str:
        """Return the id of a new snapshot, which shows what was refreshed before."""
        reply = await self._client.open_point_in_time(
            index=alias, keep_alive=self.keep_alive, allow_partial_search_results=False
        )
        return str(reply["id"])

    async def keep(self, snapshot: str) -> None:
        """Leave a snapshot open for the next page, and close what is too many."""
        self._opened[snapshot] = None
        self._opened.move_to_end(snapshot)
        while len(self._opened) > self._open_max:
            await self.close(next(iter(self._opened)))

    async def close(self, snapshot: str) -> None:
        """Close a snapshot; what cannot be closed closes by itself when its time is up."""
        self._opened.pop(snapshot, None)
        try:
            await self._client.close_point_in_time(id=snapshot)
        except (ApiError, TransportError):
            return
