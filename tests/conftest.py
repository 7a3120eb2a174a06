"""Tests that need a real engine: skipped with the reason, or failed where engines are required."""

from __future__ import annotations

import pytest

from tests.engines import missing


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-engines",
        action="store_true",
        help="fail tests whose engine does not run, instead of skipping them",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engine(name): needs a running engine of that name")


def pytest_runtest_setup(item: pytest.Item) -> None:
    reasons = filter(None, (missing(mark.args[0]) for mark in item.iter_markers("engine")))
    for reason in reasons:
        if item.config.getoption("--require-engines"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
