"""How a service's database compares with the migrations of this program, on whatever engine."""

from __future__ import annotations

from slackwater.doctor.finding import Seen, broken, caution, ok
from slackwater.service.definition import ServiceDefinition
from slackwater.service.migrations import versions_of

MIGRATE = "slackwater db migrate (a service that starts does it, too)"


def compared(found: str | None, service: ServiceDefinition) -> Seen:
    """Compare the version that was found with the newest one."""
    newest, *older = versions_of(service.migrations)
    if found == newest:
        return ok(f"at {newest}, the newest")
    if found is None:
        return caution(f"no tables yet; the newest version is {newest}", MIGRATE)
    if found in older:
        return caution(f"at {found}; the newest version is {newest}", MIGRATE)
    return broken(
        f"at {found}, which this program does not know; its newest version is {newest}",
        "run the program that made these tables, or a newer one",
    )
