"""Tests that need a real engine: skipped with the reason, or failed where engines are required.

Those that kill and pause engines of their own take many minutes and run on request.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings

from slackwater.testing.claims import Unclaimed, unclaimed
from tests.engines import missing

# How long an example takes says how busy the machine is; each test has its own time limit.
settings.register_profile("slackwater", deadline=None)
settings.load_profile("slackwater")

_LEFT_OUT = pytest.StashKey[Counter[Unclaimed]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-engines",
        action="store_true",
        help="fail tests whose engine does not run, instead of skipping them",
    )
    parser.addoption(
        "--long-faults",
        action="store_true",
        help="also what takes many minutes, as many kills",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engine(name): needs a running engine of that name")
    config.addinivalue_line("markers", "long_faults: takes many minutes, such as many kills")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, and tell, what an adapter says that it cannot do; keep users of servers together.

    What many tests share runs from its first user to its last, and idle servers are not free.
    """
    left_out = Counter(missing for item in items if (missing := unclaimed(item)))
    config.stash[_LEFT_OUT] = left_out
    config.hook.pytest_deselected(items=[item for item in items if unclaimed(item)])
    items[:] = sorted((item for item in items if not unclaimed(item)), key=_turn)


def _turn(item: pytest.Item) -> int:
    """Engines that are killed come first, shared installations last, all else between."""
    fixtures = getattr(item, "fixturenames", ())
    if "own_engines" in fixtures:
        return 0
    if "installation" not in fixtures:
        return 1
    return 3 if "engines" in item.name else 2


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for (adapter, capability), cases in sorted(config.stash.get(_LEFT_OUT, Counter()).items()):
        terminalreporter.write_line(
            f"{adapter} does not claim {capability}: {cases} case(s) left out"
        )


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("long_faults") and not item.config.getoption("--long-faults"):
        pytest.skip("takes many minutes; pass --long-faults")
    reasons = filter(None, (missing(mark.args[0]) for mark in item.iter_markers("engine")))
    for reason in reasons:
        if item.config.getoption("--require-engines"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
