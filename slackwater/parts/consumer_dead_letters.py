"""Dead letters of the consumers of services, by hand: which keys are parked, and with what events.

A consumer is named `SERVICE/CONSUMER`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import Connection, inspect

from slackwater.database.port import Database
from slackwater.errors import SlackwaterError
from slackwater.installation import Installation
from slackwater.manifest import UnknownPartError
from slackwater.parts.dead_letters import Chosen, Parked, place_in_log, told_as_parked
from slackwater.read_models.dead_letters import DeadLetter, Hole
from slackwater.read_models.discards import Discard
from slackwater.read_models.paging import paged
from slackwater.service.dead_letters import DeadLetters
from slackwater.service.definition import Consumer, ServiceDefinition

T = TypeVar("T")

_SEPARATOR = "/"


class Named(NamedTuple):
    """A consumer with its service and what it has parked."""

    service: ServiceDefinition
    consumer: Consumer
    database: Database

    @property
    def name(self) -> str:
        return f"{self.service.name}{_SEPARATOR}{self.consumer.name}"

    @property
    def dead_letters(self) -> DeadLetters:
        return DeadLetters(self.service.tables, self.consumer.name)

    def place_of(self, hole: Hole) -> dict[str, Any]:
        """Return the fields that name a consumer's hole wherever one is told of."""
        return {"consumer": self.name, **place_in_log(hole)}


class ParkedKeys(msgspec.Struct, frozen=True, kw_only=True):
    """How many keys and events a consumer has parked; `reason` is why one of the keys is.

    Where its service's database cannot be asked, the numbers are null and the reason says why.
    """

    consumer: str
    holes: int | None
    events: int | None
    reason: str


def is_consumer(name: str | None) -> bool:
    """Tell whether a name is a consumer's and not a read model's."""
    return name is not None and _SEPARATOR in name


async def consumers_with_holes(installation: Installation) -> list[ParkedKeys]:
    """Return every consumer that has parked something, or of which nobody knows."""
    asked = [await _asked(each) for each in _chosen_consumers(installation, Chosen())]
    return [each for each in asked if each is not None]


async def _asked(named: Named) -> ParkedKeys | None:
    try:
        extent = await _read(named, named.dead_letters.extent)
    except SlackwaterError as error:
        return ParkedKeys(consumer=named.name, holes=None, events=None, reason=str(error))
    if extent is None:
        return None
    keys, events, reason = extent
    return ParkedKeys(consumer=named.name, holes=keys, events=events, reason=reason)


async def parked_of_consumers(installation: Installation, chosen: Chosen) -> AsyncIterator[Parked]:
    """Yield the chosen keys."""
    async for each, hole in chosen_consumer_holes(installation, chosen):
        yield told_as_parked(each.place_of(hole), hole)


async def letters_of_consumers(
    installation: Installation, chosen: Chosen, *, after: int, limit: int
) -> AsyncIterator[DeadLetter]:
    """Yield a page of the letters of each chosen key."""
    async for each, hole in chosen_consumer_holes(installation, chosen):
        page = partial(each.dead_letters.letters, hole=hole, after=after, limit=limit)
        for letter in await each.database.read(page):
            yield letter


async def discarded_of_consumers(
    installation: Installation, chosen: Chosen
) -> AsyncIterator[tuple[str, Discard]]:
    """Yield what was discarded, with the name of the consumer that goes without it."""
    for each in _chosen_consumers(installation, chosen):
        async for discard in paged(partial(_page_behind, each, each.dead_letters.discards)):
            if chosen.means_discard(discard):
                yield each.name, discard


async def chosen_consumer_holes(
    installation: Installation, chosen: Chosen
) -> AsyncIterator[tuple[Named, Hole]]:
    """Yield the chosen holes one by one, however many there are.

    Raises:
        UnknownPartError: there is no consumer of that name.
    """
    for each in _chosen_consumers(installation, chosen):
        async for hole in paged(partial(_page_behind, each, each.dead_letters.holes)):
            if chosen.means(hole):
                yield each, hole


async def _page_behind(
    named: Named, load: Callable[..., list[T]], after: T | None, limit: int
) -> list[T] | None:
    return await _read(named, partial(load, after=after, limit=limit))


async def _read(named: Named, work: Callable[[Connection], T]) -> T | None:
    """Read a service's database, None where it was never migrated: nothing can be parked there."""
    table = named.service.tables.consumer_hole.name
    return await named.database.read(
        lambda connection: work(connection) if inspect(connection).has_table(table) else None
    )


def _chosen_consumers(installation: Installation, chosen: Chosen) -> Iterator[Named]:
    if chosen.read_model is not None:
        return
    if chosen.consumer is not None:
        yield _named(installation, chosen.consumer)
        return
    for service in installation.manifest.services:
        yield from _consumers_of(installation, service)


def _named(installation: Installation, name: str) -> Named:
    of_service = list(_consumers_of(installation, name.partition(_SEPARATOR)[0]))
    for each in of_service:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in of_service) or "none"
    raise UnknownPartError(f"there is no consumer {name!r}; that service has: {known}")


def _consumers_of(installation: Installation, name: str) -> Iterator[Named]:
    service = installation.service(name)
    for consumer in service.consumers:
        yield Named(service, consumer, installation.database(name))
