"""Tests on real engines run where the engine's address is given, and are skipped elsewhere."""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-engines", action="store_true", help="fail where a real engine is missing"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engine(name): needs a running engine")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("engine"):
        variable = f"SLACKWATER_{marker.args[0].upper()}_URL"
        if not os.environ.get(variable):
            reason = f"{variable} is not set"
            if item.config.getoption("--require-engines"):
                pytest.fail(reason)
            pytest.skip(reason)
