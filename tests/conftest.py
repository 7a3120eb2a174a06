"""Tests on real engines are skipped where the engine is not running, unless they are required."""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-engines", action="store_true", help="fail where an engine is not running"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engine(name): needs a running engine")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("engine"):
        variable = f"SLACKWATER_{marker.args[0].upper()}_URL"
        if variable in os.environ:
            continue
        reason = f"{marker.args[0]} is not running: {variable} is unset"
        if item.config.getoption("--require-engines"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
