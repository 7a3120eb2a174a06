"""Writes docs/reference/adapters.md: which adapters each port has, and what each of them can do.

    python -m deploy.adapters_page docs/reference/adapters.md [--check]

Everything on the page is declared elsewhere: capabilities by the adapters, guarantees by the cases
of the contracts, tested versions by the engines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from deploy.adapters import PORTS, Adapter, Port
from deploy.page import write_or_check
from slackwater.capability import Capability
from slackwater.testing.claims import Guarantee, capabilities_needed, cases_of

_OPENING = """# Adapters

What each port is kept in, what differs between its adapters, and what is the same in all of them.
Adapters are chosen port by port (how-to/run-on-real-engines.md); a program asks one for its
`capabilities`. Made by `make reference` of what adapters and contracts declare; do not edit it.
"""


def render(ports: Sequence[Port]) -> str:
    """Return the page, which is the same as long as the declarations are."""
    sections = (part for port in ports for part in _section(port))
    return "\n".join([_OPENING, *sections])


def _section(port: Port) -> Iterator[str]:
    yield f"## {port.title}\n"
    yield f"`{port.protocol.__module__}.{port.protocol.__name__}`\n"
    yield _adapters(port.adapters)
    yield _capabilities(port)
    yield _guarantees(port)


def _adapters(adapters: Sequence[Adapter]) -> str:
    rows = [(f"`{each.kind.__name__}`", each.setting, each.tested_on) for each in adapters]
    return _table(("adapter", "chosen by", "tested on"), rows)


def _capabilities(port: Port) -> str:
    """Return one row a capability; what it means is what is missed without it."""
    held = {needed for contract in port.contracts for needed in capabilities_needed(contract)}
    rows = [
        (
            f"`{capability}`",
            *("yes" if capability in each.kind.capabilities else "no" for each in port.adapters),
            capability.without,
            "a case" if capability in held else "a declaration",
        )
        for capability in _members(port.capabilities)
    ]
    names = (f"`{each.kind.__name__}`" for each in port.adapters)
    return _table(("capability", *names, "without it", "held by"), rows)


def _guarantees(port: Port) -> str:
    """Return one row a case: its name is the guarantee in words."""
    rows = [
        (guarantee.value, f"`{contract.__name__}`", _sentence(case))
        for guarantee in Guarantee
        for contract in port.contracts
        for case in cases_of(contract, guarantee)
    ]
    return _table(("guaranteed by all", "held by", "its case"), rows)


def _members(capabilities: type[Capability]) -> Iterator[Capability]:
    yield from capabilities


def _sentence(case: str) -> str:
    return case.removeprefix("test_").replace("_", " ")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(write_or_check("deploy.adapters_page", render(PORTS)))
