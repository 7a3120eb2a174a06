"""Checks read models against what the services' own tables say, by another road than projecting.

An expectation computes the documents of a read model from the services' facts; it knows neither the
event log nor a projection. So a lost, doubled or wrongly folded event shows up, whoever lost it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from slackwater.database.port import Database
from slackwater.read_models.documents import Document, DocumentStore, Find, Row
from slackwater.read_models.search import SearchIndex
from slackwater.read_models.versions import active_version
from slackwater.service.definition import Fact, ServiceDefinition

_PAGE = 500

Facts = Mapping[str, Iterable[Fact]]
"""The facts of each service, by its name."""


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What a collection (or a search index) of a read model should hold.

    `documents` yields ids with documents.
    """

    read_model: str
    collection: str
    searched: bool = False
    documents: Callable[[Facts], Iterator[tuple[str, Document]]]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One key that does not hold what it should; `paths` names what differs."""

    read_model: str
    id: str
    problem: str
    paths: dict[str, tuple[Any, Any]] = {}
    """Expected and found, by path."""


async def gather_facts(
    services: Iterable[ServiceDefinition], database: Callable[[str], Database]
) -> Facts:
    """Read the facts of all services, each in one snapshot of its own tables."""
    return {
        service.name: await database(service.name).read(_listing(service.facts))
        for service in services
    }


def _listing(
    facts: Callable[[Connection], Iterator[Fact]],
) -> Callable[[Connection], list[Fact]]:
    return lambda connection: list(facts(connection))


async def broken_invariants(
    services: Iterable[ServiceDefinition], database: Callable[[str], Database]
) -> list[str]:
    """Return, in words, what is impossible and yet stands in a service's own tables."""
    return [
        f"{service.name}: {violation}"
        for service in services
        for violation in await database(service.name).read(service.invariants)
    ]


async def compare(
    expectation: Expectation, facts: Facts, *, documents: DocumentStore, search: SearchIndex
) -> list[Difference]:
    """Return every key of the version that readers use that does not hold what the facts say."""
    model = await active_version(documents.progress, expectation.read_model)
    stored = model.stored_name(expectation.collection)
    expected = dict(expectation.documents(facts))
    if expectation.searched:
        return await _compare_index(expectation.read_model, stored, expected, search)
    found = {row.id: row.document async for row in _all_rows(documents, stored)}
    return list(_differences(expectation.read_model, expected, found))


async def _compare_index(
    read_model: str, index: str, expected: dict[str, Document], search: SearchIndex
) -> list[Difference]:
    ids = list(expected)
    found: dict[str, Document] = {}
    for at in range(0, len(ids), _PAGE):
        rows = await search.get(index, ids[at : at + _PAGE])
        found.update({row.id: row.document for row in rows.values()})
    differences = list(_differences(read_model, expected, found))
    surplus = await search.count(index) - len(found)
    if surplus:
        problem = f"{surplus} documents that should not be there"
        differences.append(Difference(read_model=read_model, id="*", problem=problem))
    return differences


async def _all_rows(documents: DocumentStore, collection: str) -> AsyncIterator[Row]:
    after: tuple[Any, ...] | None = None
    while page := await documents.find(Find(collection=collection, after=after, limit=_PAGE)):
        for row in page:
            yield row
        after = (page[-1].id,)


def _differences(
    read_model: str, expected: dict[str, Document], found: dict[str, Document]
) -> Iterator[Difference]:
    for row_id in sorted(expected.keys() | found.keys()):
        if row_id not in found:
            yield Difference(read_model=read_model, id=row_id, problem="missing")
        elif row_id not in expected:
            yield Difference(read_model=read_model, id=row_id, problem="should not be there")
        elif paths := dict(_unequal("", expected[row_id], found[row_id])):
            yield Difference(read_model=read_model, id=row_id, problem="different", paths=paths)


def _unequal(path: str, expected: Any, found: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the deepest paths at which two JSON values differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            yield from _unequal(f"{path}.{key}".lstrip("."), expected.get(key), found.get(key))
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for at, (left, right) in enumerate(zip(expected, found, strict=True)):
            yield from _unequal(f"{path}.{at}".lstrip("."), left, right)
    elif expected != found:
        yield path, (expected, found)
