"""The inventory service, as the command line finds it."""

from __future__ import annotations

from contracts.events import event_types
from contracts.topics import PRODUCTS, RESERVATIONS
from slackwater.service.definition import ServiceDefinition
from write_services.inventory.commands import COMMANDS
from write_services.inventory.facts import facts, invariants
from write_services.inventory.inferring import mapping
from write_services.inventory.queries import QUERIES
from write_services.inventory.saga import stock
from write_services.inventory.tables import metadata, tables
from write_services.inventory.versions import recount

service = ServiceDefinition(
    name="inventory",
    event_types=event_types,
    topics=(PRODUCTS.name, RESERVATIONS.name),
    metadata=metadata,
    tables=tables,
    migrations="write_services.inventory.migrations",
    commands=COMMANDS,
    queries=QUERIES,
    consumers=(stock,),
    facts=facts,
    invariants=invariants,
    mapping=mapping,
    recount=recount,
)
