"""The oracle in short: no bound is violated under any fault, and it can tell when one is.

At length, by hand: `python -m tests.faults.oracle --requests 100000 --folder …`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engines import NAMES, engine_settings, on_all_engines
from tests.faults.oracle.faults import faults_of
from tests.faults.oracle.safeguards import SAFEGUARDS
from tests.faults.oracle.tokens import TokenTally
from tests.faults.oracle.verdicts import Tally, Verdict
from tests.faults.oracle.watch import Plan, watching, writes_a_second

SEED = int(os.environ.get("ORACLE_SEED", str(secrets.randbelow(10**6))))
REQUESTS = int(os.environ.get("ORACLE_REQUESTS", "500"))
READS_A_SECOND = 8.0
"""Enough for many in each fault; as many as can be would take the machine from other tests."""
TIMEOUT_S = 600

pytestmark = [pytest.mark.slow, pytest.mark.timeout(TIMEOUT_S)]


@dataclass(frozen=True)
class Scenario:
    """What makes the lack of a safeguard matter."""

    faults: Sequence[str] = ()
    switches_on: Sequence[str] = ()
    engines: bool = False


SCENARIOS = {
    "watermark-after-data": Scenario(switches_on=["slow-projectors"]),
    # The embedded index shows at once what is written. Elsewhere a refresh must take longer than
    # the bound is large anyway.
    "refresh-gate": Scenario(faults=["no_refresh"], engines=True),
    "all-partitions": Scenario(faults=["paused_in_a_group"]),
    "contiguous-versions": Scenario(),
    "fences-and-fresh-ends": Scenario(faults=["two_relays"], switches_on=["slow-projectors"]),
    "acknowledgements": Scenario(),
    # Otherwise a relay follows a commit within milliseconds, and few probes come between the two.
    "greater-tick": Scenario(faults=["paused_relay"]),
    "instant-of-sending": Scenario(switches_on=["slow-projectors"]),
    "holes": Scenario(faults=["poison"]),
    # On SQLite writers come one after another, so that positions are as good as marks.
    "marks": Scenario(faults=["long_transaction"], engines=True),
}


def watched(folder: Path, plan: Plan, *, engines: bool = False) -> tuple[Tally, TokenTally]:
    print(f"\nORACLE_SEED={plan.seed}")

    async def watch_it() -> tuple[Tally, TokenTally]:
        async with watching(folder, plan, engine_settings() if engines else None) as watch:
            return await watch.run(), watch.tokens

    tally, tokens = asyncio.run(watch_it())
    print(tally.summary(), tokens.summary())
    return tally, tokens


@pytest.mark.parametrize(
    "engines",
    [False, pytest.param(True, marks=on_all_engines())],
    ids=["embedded", "engines"],
)
def test_no_bound_is_violated_and_no_token_missed_under_any_fault(
    tmp_path: Path, engines: bool
) -> None:
    plan = Plan(
        seed=SEED,
        requests=REQUESTS,
        reads_a_second=READS_A_SECOND,
        writes_a_second=writes_a_second(engines=engines),
        faults=faults_of(engines=NAMES if engines else ()),
    )
    tally, tokens = watched(tmp_path, plan, engines=engines)
    assert tally.violations == []
    assert (tally.uncovered, tally.untimely, tally.phantoms) == (0, 0, 0)
    assert tally.verdicts[Verdict.HOLDS] > REQUESTS
    assert tally.by_fault.keys() == set(plan.faults)
    assert tally.bounds_ms.keys() == {"customer_orders", "products", "order_search"}
    assert tokens.misses.total() == 0
    assert tokens.reads.keys() == {"customer", "product", "search"}


def test_every_safeguard_has_a_scenario() -> None:
    assert SCENARIOS.keys() == SAFEGUARDS.keys()


@pytest.mark.long_faults
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=on_all_engines() if scenario.engines else [])
        for name, scenario in SCENARIOS.items()
    ],
)
def test_the_oracle_finds_out_when_a_safeguard_is_off(tmp_path: Path, name: str) -> None:
    scenario = SCENARIOS[name]
    plan = Plan(
        seed=SEED,
        requests=12 * REQUESTS,
        writes_a_second=writes_a_second(engines=scenario.engines),
        faults=scenario.faults,
        safeguards_off=[name],
        switches_on=scenario.switches_on,
        ends_with_a_violation=True,
    )
    tally, _ = watched(tmp_path, plan, engines=scenario.engines)
    assert tally.violations
