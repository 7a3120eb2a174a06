"""The reference page of adapters tells the truth: each adapter is held to what the page says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.adapters import PORTS, Port
from deploy.adapters_page import render

CONTRACT_TESTS = Path(__file__).parents[2] / "contract"


def held() -> Iterator[tuple[str, str]]:
    """Every contract that a test class passes, with the adapter that it passes it for."""
    for path in CONTRACT_TESTS.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                yield from ((ast.unparse(base), adapter_of(node)) for base in node.bases)


def adapter_of(node: ast.ClassDef) -> str:
    return next(
        ast.unparse(line.value)
        for line in node.body
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "adapter"
    )


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.title)
def test_every_adapter_passes_every_contract_of_its_port(port: Port) -> None:
    wanted = {(c.__name__, a.kind.__name__) for c in port.contracts for a in port.adapters}
    assert wanted <= set(held())


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.title)
def test_an_adapter_claims_capabilities_of_its_port_alone(port: Port) -> None:
    for adapter in port.adapters:
        assert adapter.kind.capabilities <= frozenset[Any](port.capabilities)


def test_every_contract_says_what_it_guarantees() -> None:
    page = render(PORTS)
    for port in PORTS:
        for contract in port.contracts:
            assert f"`{contract.__name__}` |" in page
