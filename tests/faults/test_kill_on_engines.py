"""`kill -9` of each part and each engine in mid-traffic, with all data on the real engines.

Each is killed once in every run of the tests. By hand, one of them many times:
`KILL_ROUNDS=20 make test ARGS="tests/faults/test_kill_on_engines.py --long-faults -s -k kafka"`
where the engines' addresses are set. The seed is printed; `KILL_SEED=…` repeats a run.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.end_to_end.harness import Running, Store, until
from tests.engines import NAMES, on_all_engines
from tests.faults.ledger import Ledger, Traffic
from tests.faults.own_engines import OwnEngines

ROUNDS = int(os.environ.get("KILL_ROUNDS", "5"))
SEED = int(os.environ.get("KILL_SEED", str(random.SystemRandom().randrange(10**6))))
KINDS = ("relay", "service", "projector", "gateway")
VICTIMS = (*KINDS, *NAMES)
ORDERS_A_SECOND = 8.0
BACK_S = 90.0
PROVEN_S = 180.0
"""A projector that dies in a transaction leaves it to the document server for a minute."""
SETTLED_S = 240.0

pytestmark = [
    *on_all_engines(),
    pytest.mark.slow,
    pytest.mark.timeout(720 + 150 * max(ROUNDS, len(VICTIMS))),
]


def test_a_kill_of_each_in_turn_loses_and_doubles_nothing(
    breakable: Running, own_engines: OwnEngines, customers: list[str]
) -> None:
    victims = random.Random(SEED).sample(VICTIMS, len(VICTIMS))
    _kill(breakable, own_engines, customers, victims, SEED)


@pytest.mark.long_faults
@pytest.mark.parametrize("victim", VICTIMS)
def test_many_kills_of_one_lose_and_double_nothing(
    breakable: Running, own_engines: OwnEngines, customers: list[str], victim: str
) -> None:
    _kill(breakable, own_engines, customers, [victim] * ROUNDS, SEED * 10 + VICTIMS.index(victim))


def _kill(
    installation: Running,
    engines: OwnEngines,
    customers: list[str],
    victims: Sequence[str],
    seed: int,
) -> None:
    """Kill one after the other under traffic; then everything must agree."""
    print(f"\nKILL_SEED={SEED} {', '.join(victims)}")
    rng = random.Random(seed)
    ledger = Ledger()
    with Traffic(
        installation.store, ledger, customers, "BOLT", seed, orders_a_second=ORDERS_A_SECOND
    ):
        for victim in victims:
            _goes_on(ledger)
            time.sleep(rng.uniform(0.3, 1.5))  # the moment of death is what is random here
            _strike(installation, engines, victim, rng)
            _recovers(installation, ledger)
    _finish(installation, ledger, customers[0])


def _strike(installation: Running, engines: OwnEngines, victim: str, rng: random.Random) -> None:
    if victim in NAMES:
        engines.kill(victim)
        engines.up(victim)
        return
    pids = installation.part_pids()
    name = rng.choice(sorted(name for name in pids if name.startswith(victim)))
    print(f"kill -9 {name}")
    os.kill(pids[name], signal.SIGKILL)
    until(installation.part_pids, lambda now: now.get(name, pids[name]) != pids[name], BACK_S)


def _recovers(installation: Running, ledger: Ledger) -> None:
    """Writes are acknowledged again, and read models prove moments after the death, in traffic."""
    began_s = time.monotonic()
    _goes_on(ledger)
    writes_s = time.monotonic() - began_s
    installation.wait_ready(BACK_S)
    try:
        until(lambda: _proven_s(installation.store), lambda proven_s: proven_s > began_s, PROVEN_S)
    except AssertionError:
        port = str(installation.port)
        print(installation.command("lag", "--json", "--port", port, timeout_s=60).stdout)
        raise
    print(f"writes after {writes_s:.1f} s, reads after {time.monotonic() - began_s:.1f} s")


def _proven_s(store: Store) -> float:
    """Return up to which moment, by this machine's clock, every read model knows everything."""
    asked_s = time.monotonic()
    answer = store.ask("{ readModels { maxStalenessMs } }")
    models = (answer.body.get("data") or {"readModels": []})["readModels"]
    bounds_ms = [model["maxStalenessMs"] for model in models]
    if not bounds_ms or None in bounds_ms:
        return 0.0
    return float(asked_s - max(bounds_ms) / 1000)


def _goes_on(ledger: Ledger) -> None:
    wanted = len(ledger.acknowledged) + 8
    until(lambda: len(ledger.acknowledged), lambda count: count >= wanted, BACK_S)


def _finish(installation: Running, ledger: Ledger, customer: str) -> None:
    """Wait until everything has settled, then hold it against ledger and services.

    What was placed while an engine was away is decided after it, and sagas have that to catch up.
    """
    began_s = time.monotonic()
    checked = until(installation.verify, lambda verified: verified.returncode == 0, SETTLED_S)
    print(f"settled after {time.monotonic() - began_s:.1f} s")
    assert checked.stdout.count(": equal") == 4, checked.stdout
    ledger.check(installation.store)
    placed = installation.store.place_order(customer, "BOLT")
    decided = installation.store.decided(placed["order"]["id"], timeout_s=BACK_S)
    assert decided["status"] == "APPROVED", decided
    unknown = len(ledger.attempted) - len(ledger.acknowledged)
    print(f"{len(ledger.acknowledged)} acknowledged, {unknown} not, {_deaths(installation)} died")


def _deaths(installation: Running) -> Counter[str]:
    """Which parts have died so far, killed or of themselves."""
    log = installation.data_dir.with_suffix(".log").read_text(errors="replace")
    records = [line for line in log.splitlines() if "part died" in line]
    return Counter(line.split('"name":')[1].split('"')[1] for line in records)
