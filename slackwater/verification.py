"""Checks read models and services against what the services' own tables say.

An expectation computes the documents of a read model from the services' facts; it knows neither the
event log nor a projection. So a lost, doubled or wrongly folded event shows up, whoever lost it.
A shared invariant computes from the same facts where services do not agree with one another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from slackwater.database.port import Database
from slackwater.read_models.documents import Document
from slackwater.service.definition import Fact, ServiceDefinition

Facts = Mapping[str, Sequence[Fact]]
"""The facts of each service, by its name."""


class Holding(NamedTuple):
    """What a key of a read model holds or should hold; `version` is its aggregate's."""

    version: int
    document: Document


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What a collection (or a search index) of a read model should hold.

    `holdings` yields ids with what they should hold.
    """

    read_model: str
    collection: str
    searched: bool = False
    holdings: Callable[[Facts], Iterator[tuple[str, Holding]]]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One key that does not hold what it should; `paths` names what differs."""

    read_model: str
    id: str
    problem: str
    paths: dict[str, tuple[Any, Any]] = {}
    """Expected and found, by path."""


class SharedInvariant(msgspec.Struct, frozen=True, kw_only=True):
    """What services must agree on once everything under way has arrived.

    `violations` yields the id of what violates it, with the problem in words.
    """

    name: str
    violations: Callable[[Facts], Iterator[tuple[str, str]]]


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing on which services do not agree."""

    invariant: str
    id: str
    problem: str


async def gather_facts(
    services: Iterable[ServiceDefinition], database: Callable[[str], Database]
) -> Facts:
    """Read the facts of all services at about the same time, each in one snapshot of its tables."""
    named = {service.name: service for service in services}
    listed = await asyncio.gather(
        *(database(name).read(_listing(service.facts)) for name, service in named.items())
    )
    return dict(zip(named, listed, strict=True))


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
