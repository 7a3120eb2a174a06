"""Every engine that Slackwater can run on, by name."""

from __future__ import annotations

from deploy.engines.elasticsearch import Elasticsearch
from deploy.engines.engine import Engine
from deploy.engines.kafka import Kafka
from deploy.engines.mongodb import MongoDB
from deploy.engines.postgresql import PostgreSQL

ENGINES: dict[str, type[Engine]] = {
    engine.name: engine for engine in (PostgreSQL, Kafka, MongoDB, Elasticsearch)
}
