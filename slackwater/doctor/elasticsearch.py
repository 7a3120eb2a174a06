"""Elasticsearch: its version, its health, and whether it lets us make our kind of index."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import elasticsearch
from elasticsearch import AsyncElasticsearch

from slackwater.doctor.check import Check
from slackwater.doctor.finding import Seen, broken, caution, ok
from slackwater.ids import new_id
from slackwater.installation import Installation
from slackwater.read_models.elasticsearch_client import connect
from slackwater.read_models.elasticsearch_errors import told_by_kind
from slackwater.read_models.elasticsearch_indexes import Indexes
from slackwater.read_models.search import Index, SearchField

_TIMEOUT_MS = 5_000
_SERVER_TIMEOUT = "4s"
_OURS_WHILE_WE_LOOK = "*_doctor_*"  # without a copy in their first moment
_GIB = 1 << 30
_GRANT_MONITOR = "grant the user or API key the cluster privilege monitor"
_LOOK_AFTER = "see _cluster/allocation/explain, and start the nodes that are away"
_MORE_NODES = "run two data nodes or more in production"
_MAKE_ROOM = "free room or add a data node; above the flood stage indexes become read-only"


@asynccontextmanager
async def opened(installation: Installation) -> AsyncIterator[Sequence[Check]]:
    """Connect as the search adapter does."""
    settings = installation.settings
    client = connect(
        str(settings.elasticsearch_url),
        api_key=settings.elasticsearch_api_key,
        ca_certs=settings.elasticsearch_ca_certs,
        timeout_ms=_TIMEOUT_MS,
    )
    try:
        with told_by_kind("(none)"):
            info = (await client.info()).body
        yield _Cluster(client, info, f"{settings.namespace}_").checks()
    finally:
        await client.close()


class _Cluster:
    """A cluster that has said what it is."""

    def __init__(self, client: AsyncElasticsearch, info: dict[str, Any], prefix: str) -> None:
        self._client = client
        self._info = info
        self._prefix = prefix

    def checks(self) -> list[Check]:
        grant = f"grant the user or API key the privilege manage on indices {self._prefix}*"
        return [
            Check("version", self._see_version, "run the client's version of Elasticsearch"),
            Check("data nodes", self._see_data_nodes, _GRANT_MONITOR),
            Check("health", self._see_health, _GRANT_MONITOR),
            Check("rights", self._see_rights, grant),
            Check("disk", self._see_disk, _GRANT_MONITOR),
        ]

    async def _see_version(self) -> Seen:
        server, client = str(self._info["version"]["number"]), elasticsearch.__version__
        found = f"{server}; the client is {'.'.join(map(str, client))}"
        if server.partition(".")[0] != str(client[0]):
            return broken(found, f"run Elasticsearch {client[0]}")
        return ok(found)

    async def _see_data_nodes(self) -> Seen:
        count = (await self._health())["number_of_data_nodes"]
        found = f"{count} running"
        return ok(found) if count > 1 else caution(f"{found}: nothing is copied", _MORE_NODES)

    async def _see_health(self) -> Seen:
        health = await self._health()
        found = f"{health['status']}, {health['unassigned_shards']} unassigned shards"
        if health["status"] == "red":
            return broken(f"{found}: some data cannot be read", _LOOK_AFTER)
        if health["status"] == "yellow":
            return caution(f"{found}: some copies are missing", _LOOK_AFTER)
        return ok(found)

    async def _see_rights(self) -> Seen:
        """Make an index as the search adapter does, with its analysis, and drop it again."""
        name = f"doctor_{new_id().replace('-', '')}"
        index = Index(name=name, fields=(SearchField(name="text"),))
        indexes, alias = Indexes(self._client, timeout=_SERVER_TIMEOUT), self._prefix + name
        try:
            await indexes.prepare(index, alias)
        finally:
            await indexes.drop(name, alias)
        return ok(f"may create and drop indices named {self._prefix}…, with our analysis")

    async def _see_disk(self) -> Seen:
        """Let the cluster judge by its own watermarks, however they are written."""
        with told_by_kind("(none)"):
            report = (await self._client.health_report(feature="disk")).body
            nodes = (await self._client.nodes.stats(metric="fs")).body["nodes"]
        disk = report["indicators"]["disk"]
        found = f"{_fullest(nodes)}; {disk['symptom'][:1].lower()}{disk['symptom'][1:].rstrip('.')}"
        if disk["status"] == "green":
            return ok(found)
        return (broken if disk["status"] == "red" else caution)(found, _MAKE_ROOM)

    async def _health(self) -> dict[str, Any]:
        with told_by_kind("(none)"):
            health = await self._client.cluster.health(
                index=["*", f"-{_OURS_WHILE_WE_LOOK}"], expand_wildcards="all"
            )
        return dict(health.body)


def _fullest(nodes: dict[str, Any]) -> str:
    totals = [node["fs"]["total"] for node in nodes.values() if "total" in node.get("fs", {})]
    if not totals:
        return "unknown"
    fullest = min(totals, key=lambda each: each["available_in_bytes"] / each["total_in_bytes"])
    used = 100 - 100 * fullest["available_in_bytes"] / fullest["total_in_bytes"]
    return f"{used:.0f} % used, {fullest['available_in_bytes'] / _GIB:,.0f} GiB left"
