"""Tests against a running engine say so by a marker; without the engine they skip, or fail."""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-engines", action="store_true", help="fail where an engine is missing"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engine(name): needs a running engine")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("engine"):
        variable = f"SLACKWATER_{marker.args[0].upper()}_URL"
        if variable not in os.environ:
            reason = f"{marker.args[0]} does not run here; set {variable}"
            if item.config.getoption("--require-engines"):
                pytest.fail(reason)
            pytest.skip(reason)
