"""The orders service, as the command line finds it."""

from __future__ import annotations

from contracts.events import event_types
from contracts.topics import ORDERS
from slackwater.service.definition import ServiceDefinition
from write_services.orders.catalogue import catalogue
from write_services.orders.commands import COMMANDS
from write_services.orders.deadline import deadline
from write_services.orders.facts import facts, invariants
from write_services.orders.queries import QUERIES
from write_services.orders.saga import saga
from write_services.orders.tables import metadata, tables

service = ServiceDefinition(
    name="orders",
    event_types=event_types,
    topics=(ORDERS.name,),
    metadata=metadata,
    tables=tables,
    migrations="write_services.orders.migrations",
    commands=COMMANDS,
    queries=QUERIES,
    consumers=(saga, catalogue),
    periodic=(deadline,),
    facts=facts,
    invariants=invariants,
    is_event_sourced=True,
)
