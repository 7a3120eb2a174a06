"""What the cases of a contract show, and which of them an adapter is not asked for.

A case that `holds` a guarantee is its proof for every adapter; docs/reference/adapters.md names it.
A case that `needs` a capability runs where the adapter claims it. Elsewhere it is skipped, unless
the adapter's own tests leave it out beforehand, as `unclaimed` allows.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, TypeVar

import pytest

from slackwater.capability import Capability

Case = TypeVar("Case", bound=Callable[..., Any])


class Guarantee(StrEnum):
    """What no adapter may lack."""

    DURABILITY = "durability"
    ATOMICITY = "all or nothing"
    DELIVERY = "delivery"
    ORDER = "order"
    VERSION_GUARD = "version guard"
    IDEMPOTENCE = "idempotence"
    FENCING = "fencing"
    WATERMARKS = "watermarks"


class Unclaimed(NamedTuple):
    """A case that is not for this adapter."""

    adapter: str
    capability: Capability


class AdapterContract:
    """A contract whose cases may need what not every adapter can do."""

    adapter: ClassVar[type[Any]]
    """The class that is tested; its `capabilities` say which cases it is asked for."""

    @pytest.fixture(autouse=True)
    def _asked_for_what_it_claims(self, request: pytest.FixtureRequest) -> None:
        if missing := unclaimed(request.node):
            pytest.skip(f"{missing.adapter} does not claim {missing.capability}")


def holds(guarantee: Guarantee) -> Callable[[Case], Case]:
    """Say that a case of a contract is what shows the guarantee."""

    def marked(case: Case) -> Case:
        case.holds = guarantee  # type: ignore[attr-defined]
        return case

    return marked


def needs(capability: Capability) -> Callable[[Case], Case]:
    """Say that a case of an `AdapterContract` asks for more than every adapter can do."""

    def marked(case: Case) -> Case:
        case.needs = capability  # type: ignore[attr-defined]
        return case

    return marked


def unclaimed(item: pytest.Item) -> Unclaimed | None:
    """Return which capability the case needs and its adapter does not claim."""
    needed = getattr(getattr(item, "function", None), "needs", None)
    adapter = getattr(getattr(item, "cls", None), "adapter", None)
    if needed is None or adapter is None or needed in adapter.capabilities:
        return None
    return Unclaimed(adapter.__name__, needed)


def cases_of(contract: type[Any], guarantee: Guarantee) -> list[str]:
    """Return the names of the cases that show the guarantee."""
    return [
        name
        for name in dir(contract)
        if getattr(getattr(contract, name), "holds", None) is guarantee
    ]


def capabilities_needed(contract: type[Any]) -> set[Capability]:
    """Return the capabilities that cases of the contract hold their claimants to."""
    found = (getattr(getattr(contract, name), "needs", None) for name in dir(contract))
    return {capability for capability in found if capability is not None}
