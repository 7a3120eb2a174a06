"""Tests that need a running engine are skipped where its URL is not set, or fail if required."""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-engines", action="store_true", help="fail where an engine is away")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engine(name): needs a running engine")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("engine"):
        variable = f"SLACKWATER_{marker.args[0].upper()}_URL"
        if variable not in os.environ:
            reason = f"{variable} is not set"
            if item.config.getoption("--require-engines"):
                pytest.fail(reason)
            pytest.skip(reason)
