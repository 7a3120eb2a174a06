"""The indexes behind our names in Elasticsearch: created, compared, dropped.

Every name of the port is an alias of exactly one index, so that a rebuild can fill the next index
and move the alias in one step. An index carries its own definition: any process can search it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from elasticsearch import AsyncElasticsearch, BadRequestError, NotFoundError

from slackwater.errors import ConfigurationError, StructuralError
from slackwater.read_models.elasticsearch_errors import failure_of, told_by_kind
from slackwater.read_models.elasticsearch_mapping import creation, first_index, meta
from slackwater.read_models.search import ChangedIndexError, Index, UnknownIndexError

_EXISTS = "resource_already_exists_exception"


class Indexes:
    """The indexes of one installation; several processes use them at once."""

    def __init__(self, client: AsyncElasticsearch, *, timeout: str) -> None:
        self._client = client
        self._timeout = timeout
        self._definitions: dict[str, Index] = {}

    async def prepare(self, index: Index, alias: str, *, may_create: bool = True) -> None:
        """Create the index with its alias if it is missing.

        Raises:
            ChangedIndexError: the index exists with other fields.
            ConfigurationError: the server cannot make such an index.
            UnknownIndexError: it is missing, and may not be created.
        """
        with told_by_kind(index.name):
            if await self._meta(alias) is None:
                if not may_create:
                    raise UnknownIndexError(index.name)
                await self._create(index, alias)
            await self._take_over(index, alias)
        self._definitions[index.name] = index

    async def definition(self, name: str, alias: str) -> Index:
        """Return the definition that was prepared here, else the one that the index carries."""
        if name not in self._definitions:
            with told_by_kind(name):
                stored = await self._meta(alias)
            if stored is None:
                raise UnknownIndexError(name)
            if "definition" not in stored:
                raise ChangedIndexError(name)
            self._definitions[name] = msgspec.convert(stored["definition"], Index)
        return self._definitions[name]

    async def drop(self, name: str, alias: str) -> None:
        """Delete the index behind the alias, and the alias with it; nothing when there is none."""
        self._definitions.pop(name, None)
        with told_by_kind(name):
            for index in await self._behind(alias):
                await self._client.indices.delete(
                    index=index, ignore_unavailable=True, timeout=self._timeout
                )

    async def _create(self, index: Index, alias: str) -> None:
        try:
            await self._client.indices.create(
                index=first_index(alias),
                wait_for_active_shards=1,
                timeout=self._timeout,
                **creation(index, alias),
            )
        except BadRequestError as error:
            failed = failure_of(error)
            if failed.type != _EXISTS:
                raise ConfigurationError(
                    f"Elasticsearch cannot make search index {index.name} ({failed.reason}); "
                    "use the default distribution of version 9, with its analysis modules"
                ) from error
        await self._client.cluster.health(
            index=first_index(alias), wait_for_status="yellow", timeout=self._timeout
        )

    async def _take_over(self, index: Index, alias: str) -> None:
        stored, wanted = await self._meta(alias), meta(index)
        if stored is None:
            raise StructuralError(
                f"index {first_index(alias)} exists without its alias; delete it, or point {alias} "
                "to it"
            )
        if stored.get("digest") != wanted["digest"]:
            raise ChangedIndexError(index.name)
        if stored != wanted:
            await self._client.indices.put_mapping(index=alias, meta=wanted)

    async def _meta(self, alias: str) -> dict[str, Any] | None:
        """Return what the index says of itself; None when the alias is missing."""
        try:
            mappings = (await self._client.indices.get_mapping(index=alias)).body
        except NotFoundError:
            return None
        if len(mappings) > 1:
            raise StructuralError(
                f"alias {alias} has {len(mappings)} indexes; leave it only the one to be read"
            )
        [found] = mappings.values()
        return dict(found["mappings"].get("_meta", {}))

    async def _behind(self, alias: str) -> list[str]:
        try:
            return list((await self._client.indices.get_alias(name=alias)).body)
        except NotFoundError:
            return []
