"""The customers service, as the command line finds it."""

from __future__ import annotations

from contracts.events import event_types
from contracts.topics import CUSTOMERS
from slackwater.service.definition import ServiceDefinition
from write_services.customers.commands import COMMANDS
from write_services.customers.facts import facts, invariants
from write_services.customers.queries import QUERIES
from write_services.customers.saga import credit
from write_services.customers.tables import metadata, tables

service = ServiceDefinition(
    name="customers",
    event_types=event_types,
    topics=(CUSTOMERS.name,),
    metadata=metadata,
    tables=tables,
    migrations="write_services.customers.migrations",
    commands=COMMANDS,
    queries=QUERIES,
    consumers=(credit,),
    facts=facts,
    invariants=invariants,
)
