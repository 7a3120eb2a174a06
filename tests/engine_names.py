"""A namespace of one's own on the engines, with nothing left of it in the end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pymongo
from elasticsearch import Elasticsearch

from slackwater.event_log.kafka_driver import AdminClient, KafkaCluster
from tests.engines import engine_url


@contextmanager
def own_namespace() -> Iterator[str]:
    """Yield a new name; drop the topics, documents and indexes that begin with it afterwards."""
    namespace = f"test_{secrets.token_hex(4)}"
    try:
        yield namespace
    finally:
        _drop_documents(namespace)
        _drop_indexes(f"{namespace}_")
        asyncio.run(_drop_topics(f"{namespace}."))


def _drop_documents(database: str) -> None:
    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(engine_url("mongodb"))
    with client:
        client.drop_database(database)


def _drop_indexes(prefix: str) -> None:
    with Elasticsearch(engine_url("elasticsearch")) as client:
        for index in client.indices.get(index=f"{prefix}*"):
            client.indices.delete(index=index)


async def _drop_topics(prefix: str) -> None:
    admin = AdminClient(**KafkaCluster(bootstrap_servers=engine_url("kafka")).options())
    await admin.start()
    try:
        own = [topic for topic in await admin.list_topics() if topic.startswith(prefix)]
        if own:
            await admin.delete_topics(own)
    finally:
        await admin.close()
