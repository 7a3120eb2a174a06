"""Tests that need a real engine: skipped with the reason, or failed where engines are required.

Those that kill and pause engines of their own take many minutes and run on request.
"""

from __future__ import annotations

import pytest

from tests.engines import missing


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-engines",
        action="store_true",
        help="fail tests whose engine does not run, instead of skipping them",
    )
    parser.addoption(
        "--long-faults", action="store_true", help="kill and pause real engines, too (10 minutes)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engine(name): needs a running engine of that name")
    config.addinivalue_line("markers", "long_faults: kills and pauses engines for many minutes")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("long_faults") and not item.config.getoption("--long-faults"):
        pytest.skip("kills and pauses engines for many minutes; pass --long-faults")
    reasons = filter(None, (missing(mark.args[0]) for mark in item.iter_markers("engine")))
    for reason in reasons:
        if item.config.getoption("--require-engines"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
