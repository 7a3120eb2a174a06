"""However the steps of the real code interleave, and whoever dies: promises hold, nothing is lost.

The same steps are modelled in docs/model; here they are taken by what is shipped.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.properties.search import histories, violated_in
from tests.properties.weaknesses import WEAKNESSES, Weakness
from tests.properties.world import STEPS, World, world_in

NAMES = sorted(STEPS)


class Protocol(RuleBasedStateMachine):
    """A world whose steps Hypothesis chooses; at the end everything that is left is done."""

    in_search = False

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._directory = Path(tempfile.mkdtemp(prefix="protocol-"))
        self._context = world_in(self._directory, in_search=self.in_search)
        self._world: World = self._runner.run(self._context.__aenter__())

    @rule(name=st.sampled_from(NAMES))
    def step(self, name: str) -> None:
        self._runner.run(STEPS[name](self._world))

    def teardown(self) -> None:
        try:
            self._runner.run(self._world.drain())
        finally:
            self._runner.run(self._context.__aexit__(None, None, None))
            self._runner.close()
            shutil.rmtree(self._directory)


class ProtocolInSearch(Protocol):
    """The same where rows are in a search index, which shows them once it is refreshed."""

    in_search = True


def _settings(examples: int) -> settings:
    return settings(
        max_examples=examples, stateful_step_count=60, suppress_health_check=list(HealthCheck)
    )


TestProtocol, TestProtocolInSearch = Protocol.TestCase, ProtocolInSearch.TestCase
TestProtocol.settings, TestProtocolInSearch.settings = _settings(60), _settings(30)


def test_promises_hold_in_random_histories(tmp_path: Path) -> None:
    for steps in histories(1, 60):
        assert violated_in(tmp_path, steps) is None, steps


@pytest.mark.parametrize("weakness", WEAKNESSES, ids=lambda weakness: weakness.name)
def test_what_is_built_wrongly_breaks_a_promise(
    weakness: Weakness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert violated_in(tmp_path, weakness.steps) is None
    weakness.weaken(monkeypatch)
    assert violated_in(tmp_path, weakness.steps) is not None
