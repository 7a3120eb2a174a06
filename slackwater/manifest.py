"""The manifest: which services, projections and gateway there are, found by name.

They are registered as entry points in the groups `slackwater.services`, `.projections`,
`.expectations`, `.shared_invariants`, `.gateways` and `.demos`, so that the kernel names none of
them and another domain needs no change here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from slackwater.errors import ConfigurationError
from slackwater.event_log.port import Topic
from slackwater.service.definition import ServiceDefinition
from slackwater.watermarks.record import WATERMARKS

if TYPE_CHECKING:
    from slackwater.gateway import DemoDefinition, GatewayDefinition
    from slackwater.read_models.projection import Projection
    from slackwater.verification import Expectation, SharedInvariant


class UnknownPartError(ConfigurationError):
    """No part of that name is registered; the message lists those that are."""


class Manifest:
    """Names are sorted, so that ports and start order are the same everywhere."""

    @cached_property
    def services(self) -> tuple[str, ...]:
        return tuple(sorted(self._services))

    @cached_property
    def projections(self) -> tuple[str, ...]:
        return tuple(sorted(self._projections))

    def service(self, name: str) -> ServiceDefinition:
        """Load a write service.

        Raises:
            UnknownPartError: there is none of that name.
            IncompleteTypesError: it cannot read all old versions of its events.
        """
        service: ServiceDefinition = _load(self._services, "service", name)
        service.event_types.require_complete()
        return service

    def topics(self) -> list[Topic]:
        """Return every topic of the event log: those of events by name, then the watermarks."""
        services = map(self.service, self.services)
        topics = {topic.name: topic for service in services for topic in service.event_types.topics}
        return [*(topics[name] for name in sorted(topics)), WATERMARKS]

    def projection(self, name: str) -> Projection:
        """Load a projection.

        Raises:
            UnknownPartError: there is none of that name.
            IncompleteTypesError: it cannot read all old versions of its events.
        """
        projection: Projection = _load(self._projections, "projection", name)
        projection.event_types.require_complete()
        return projection

    def gateway(self) -> GatewayDefinition:
        """Load the gateway; there must be exactly one."""
        gateway: GatewayDefinition = _load_only(_registered("gateways"), "gateway")
        return gateway

    def demo(self) -> DemoDefinition:
        """Load the demo; there must be exactly one."""
        demo: DemoDefinition = _load_only(_registered("demos"), "demo")
        return demo

    def expectations(self) -> tuple[Expectation, ...]:
        """Load what every read model should hold; there must be exactly one list of it."""
        expectations: tuple[Expectation, ...] = _load_only(
            _registered("expectations"), "list of expectations"
        )
        return expectations

    def shared_invariants(self) -> tuple[SharedInvariant, ...]:
        """Load what services must agree on; there must be exactly one list of it."""
        shared_invariants: tuple[SharedInvariant, ...] = _load_only(
            _registered("shared_invariants"), "list of shared invariants"
        )
        return shared_invariants

    @cached_property
    def _services(self) -> Mapping[str, EntryPoint]:
        return _registered("services")

    @cached_property
    def _projections(self) -> Mapping[str, EntryPoint]:
        return _registered("projections")


def _registered(kind: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"slackwater.{kind}")}


def _load(registered: Mapping[str, EntryPoint], kind: str, name: str) -> Any:
    if name not in registered:
        known = ", ".join(sorted(registered)) or "none"
        raise UnknownPartError(f"there is no {kind} {name!r}; registered: {known}")
    return registered[name].load()


def _load_only(registered: Mapping[str, EntryPoint], kind: str) -> Any:
    if len(registered) != 1:
        raise UnknownPartError(f"expected one {kind}, found {sorted(registered)}; install one")
    (entry,) = registered.values()
    return entry.load()
