"""`kill -9` in mid-traffic: nothing acknowledged is lost, nothing is done twice.

By hand, with more rounds: `KILL_ROUNDS=50 make test ARGS="tests/faults/test_kill.py -s"`. The seed
is printed; `KILL_SEED=…` repeats a run.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.end_to_end.harness import Running, until
from tests.faults.ledger import Ledger, Traffic

ROUNDS = int(os.environ.get("KILL_ROUNDS", "3"))
SEED = int(os.environ.get("KILL_SEED", str(random.SystemRandom().randrange(10**6))))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 40 * ROUNDS)]


def _prepare(installation: Running) -> list[str]:
    store = installation.store
    store.add_product("BOLT", stock=1_000_000)
    return [store.create_customer(f"Customer {n}", limit="1000000.00") for n in range(5)]


def _finish(installation: Running, ledger: Ledger) -> None:
    """Wait until everything has settled, then hold it against ledger and services."""
    checked = until(installation.verify, lambda verified: verified.returncode == 0, timeout_s=60)
    assert checked.stdout.count(": equal") == 4, checked.stdout
    ledger.check(installation.store)
    assert len(ledger.acknowledged) > ROUNDS, "there was no traffic to speak of"


def _wait_for_traffic(ledger: Ledger) -> None:
    """Return once orders are acknowledged again; what died may be restarted after ten seconds."""
    before = len(ledger.acknowledged)
    until(lambda: len(ledger.acknowledged), lambda count: count > before, timeout_s=60)


@pytest.mark.parametrize("mode", [(), ("--processes",)], ids=["one process", "processes"])
def test_killing_everything_loses_and_doubles_nothing(
    tmp_path: Path, mode: tuple[str, ...]
) -> None:
    print(f"KILL_SEED={SEED} KILL_ROUNDS={ROUNDS} {mode}")
    rng = random.Random(SEED)
    ledger = Ledger()
    installation = Running(tmp_path / "data", *mode)
    try:
        installation.wait_ready()
        customers = _prepare(installation)
        for round_ in range(ROUNDS):
            seed = SEED * 1_000 + round_
            with Traffic(installation.store, ledger, customers, "BOLT", seed):
                time.sleep(rng.uniform(0.3, 1.5))  # the moment of death is what is random here
                installation.kill()
            installation.restart()
        _finish(installation, ledger)
    finally:
        installation.stop()


def test_killing_single_parts_loses_and_doubles_nothing(tmp_path: Path) -> None:
    print(f"KILL_SEED={SEED} KILL_ROUNDS={ROUNDS} parts")
    rng = random.Random(SEED)
    ledger = Ledger()
    installation = Running(tmp_path / "data", "--processes")
    try:
        installation.wait_ready()
        customers = _prepare(installation)
        with Traffic(installation.store, ledger, customers, "BOLT", SEED):
            for _ in range(ROUNDS):
                _wait_for_traffic(ledger)
                time.sleep(rng.uniform(0.0, 1.5))  # the moment of death is what is random here
                name, pid = rng.choice(sorted(installation.part_pids().items()))
                print(f"kill -9 {name}")
                os.kill(pid, signal.SIGKILL)
                until(
                    installation.part_pids, lambda pids, name=name, pid=pid: pids.get(name) != pid
                )
            installation.wait_ready()
        _finish(installation, ledger)
    finally:
        installation.stop()
