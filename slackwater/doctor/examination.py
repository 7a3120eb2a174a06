"""Examines an installation: everything that its settings choose, side by side.

The drivers of the engines are imported only where they are used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from slackwater.adapters import driver
from slackwater.doctor import embedded, parts
from slackwater.doctor.check import Check, Subject, examine
from slackwater.doctor.finding import Report, report_of
from slackwater.installation import Installation
from slackwater.settings import Settings

_DATABASES, _LOG, _DOCUMENTS, _SEARCH = "services' databases", "event log", "documents", "search"


async def examine_installation(installation: Installation, *, thorough: bool = False) -> Report:
    """Look at everything; `thorough` reads embedded files whole."""
    subjects = list(_subjects(installation, thorough=thorough))
    return report_of(await asyncio.gather(*map(examine, subjects)))


def _subjects(installation: Installation, *, thorough: bool) -> Iterator[Subject]:
    settings = installation.settings
    yield _data_folder(installation, thorough=thorough)
    if settings.postgresql_url is not None:
        yield Subject(
            name="PostgreSQL",
            serves=(_DATABASES,),
            address=settings.postgresql_url,
            opened=partial(_postgresql, installation),
            remedy="start it, or correct SLACKWATER_POSTGRESQL_URL",
        )
    if settings.kafka_url is not None:
        yield Subject(
            name="Kafka",
            serves=(_LOG,),
            address=settings.kafka_url,
            opened=partial(_kafka, installation),
            remedy="start it, or correct SLACKWATER_KAFKA_URL",
        )
    if settings.mongodb_url is not None:
        yield Subject(
            name="MongoDB",
            serves=(_DOCUMENTS,),
            address=settings.mongodb_url,
            opened=partial(_mongodb, installation),
            remedy="start it, or correct SLACKWATER_MONGODB_URL",
        )
    if settings.elasticsearch_url is not None:
        yield Subject(
            name="Elasticsearch",
            serves=(_SEARCH,),
            address=settings.elasticsearch_url,
            opened=partial(_elasticsearch, installation),
            remedy="start it, or correct SLACKWATER_ELASTICSEARCH_URL",
        )
    yield Subject(
        name="gateway and services",
        serves=(),
        address=None,
        opened=partial(parts.opened, installation),
        remedy="slackwater run starts everything on this machine",
        connects=False,
    )


def _data_folder(installation: Installation, *, thorough: bool) -> Subject:
    settings, manifest = installation.settings, installation.manifest
    serves = _embedded(settings)
    return Subject(
        name="data folder",
        serves=serves,
        address=str(settings.data_dir.absolute()),
        opened=partial(
            embedded.opened,
            settings.data_dir,
            keeps_data=bool(serves),
            services=[manifest.service(name) for name in manifest.services]
            if _DATABASES in serves
            else [],
            thorough=thorough,
        ),
        remedy="choose another folder with --data-dir",
        connects=False,
    )


def _embedded(settings: Settings) -> tuple[str, ...]:
    """Return what no engine was chosen for."""
    chosen = {
        _DATABASES: settings.postgresql_url,
        _LOG: settings.kafka_url,
        _DOCUMENTS: settings.mongodb_url,
        _SEARCH: settings.elasticsearch_url,
    }
    return tuple(port for port, url in chosen.items() if url is None)


@asynccontextmanager
async def _postgresql(installation: Installation) -> AsyncIterator[Sequence[Check]]:
    with driver("PostgreSQL"):
        from slackwater.doctor import postgresql
    async with postgresql.opened(installation) as checks:
        yield checks


@asynccontextmanager
async def _kafka(installation: Installation) -> AsyncIterator[Sequence[Check]]:
    with driver("Kafka"):
        from slackwater.doctor import kafka
    async with kafka.opened(installation) as checks:
        yield checks


@asynccontextmanager
async def _mongodb(installation: Installation) -> AsyncIterator[Sequence[Check]]:
    with driver("MongoDB"):
        from slackwater.doctor import mongodb
    async with mongodb.opened(installation) as checks:
        yield checks


@asynccontextmanager
async def _elasticsearch(installation: Installation) -> AsyncIterator[Sequence[Check]]:
    with driver("Elasticsearch"):
        from slackwater.doctor import elasticsearch
    async with elasticsearch.opened(installation) as checks:
        yield checks
