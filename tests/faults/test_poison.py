"""One event in a hundred is poisonous, in every way, under traffic.

Its key waits and says so; nobody else does. Once mended and replayed nothing is lost, and each read
model is what the services say. By hand, longer: `POISON_S=120 make test ARGS="… -s"`.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import Running, Store, until
from tests.engines import engine_settings, on_all_engines
from tests.faults.ledger import Ledger, Traffic
from tests.faults.oracle.poison import SWITCH
from tests.faults.oracle.switches import FOLDER_SETTING, Switches
from tests.faults.oracle.watch import PROGRAM, READY_S

POISON_S = float(os.environ.get("POISON_S", "8"))
CUSTOMERS = 40
_TIMEOUT_S = 400 + round(3 * POISON_S)
_ENOUGH_S = 90.0
_OTHERS_MS_MAX = 5_000
_ORDERS_A_SECOND = {False: 20.0, True: 6.0}
_BOUNDS = """query ($id: ID!) { customer(id: $id) { orderCount } }"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(_TIMEOUT_S)]


@pytest.mark.parametrize(
    "engines", [False, pytest.param(True, marks=on_all_engines())], ids=["embedded", "engines"]
)
def test_poison_under_traffic_is_parked_told_and_made_good(tmp_path: Path, engines: bool) -> None:
    switches = Switches(tmp_path / "switches")
    switches.folder.mkdir()
    installation = Running(
        tmp_path / "data",
        "--processes",
        program=(*PROGRAM, "run"),
        settings={
            **(engine_settings() if engines else {}),
            FOLDER_SETTING: str(switches.folder),
        },
    )
    try:
        store = installation.wait_ready(READY_S).store
        store.add_product("BOLT", stock=1_000_000)
        customers = [store.create_customer(f"C {n}", limit="1000000.00") for n in range(CUSTOMERS)]
        ledger = Ledger()
        rate = _ORDERS_A_SECOND[engines]
        with Traffic(store, ledger, customers, "BOLT", 1, orders_a_second=rate):
            switches.turn_on(SWITCH)
            others_ms = _bounds_ms(store, customers, POISON_S)
            parked = until(lambda: _parked(installation), _are_of_every_sort, _ENOUGH_S)
            switches.turn_off(SWITCH)
        print(f"{len(parked)} keys are parked; bounds of others: {_percentiles(others_ms)}")
        assert statistics.median(others_ms) < _OTHERS_MS_MAX
        assert _listing(store)["status"] == "STALLED"
        _replay(installation)
        verified = until(installation.verify, lambda each: each.returncode == 0, timeout_s=60)
        assert verified.stdout.count(": equal") == 4, verified.stdout
        ledger.check(store)
        until(lambda: _listing(store), lambda entry: entry["status"] == "LIVE", 30)
    finally:
        installation.stop()


def _are_of_every_sort(parked: list[dict[str, Any]]) -> bool:
    """Whether something is parked of the list that is asked for, and of more than one kind."""
    models, errors = ({each[name] for each in parked} for name in ("read_model", "error"))
    return "orders" in models and len(models) > 1 and len(errors) > 1


def _percentiles(bounds_ms: list[int]) -> str:
    ordered = sorted(bounds_ms)
    return f"p50 {ordered[len(ordered) // 2]} ms, p99 {ordered[len(ordered) * 99 // 100]} ms"


def _bounds_ms(store: Store, customers: list[str], seconds: float) -> list[int]:
    """Ask for one customer after the other; return the bounds of those that wait for nothing."""
    bounds, deadline_s = [], time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        for customer in customers:
            [entry] = [
                each
                for each in store.ask(_BOUNDS, {"id": customer}).freshness["fields"]
                if each["path"] == ["customer"]
            ]
            if not entry.get("holes") and entry["maxStalenessMs"] is not None:
                bounds.append(entry["maxStalenessMs"])
    return bounds


def _listing(store: Store) -> dict[str, Any]:
    fields = store.ask("{ orders { edges { cursor } } }").freshness["fields"]
    entry: dict[str, Any] = next(each for each in fields if each["path"] == ["orders"])
    return entry


def _parked(installation: Running) -> list[dict[str, Any]]:
    listed = installation.command("dead-letter", "list", "--limit", "1000", "--json")
    return [json.loads(line) for line in listed.stdout.splitlines()]


def _replay(installation: Running) -> None:
    """Replay until nothing is parked; what came while it ran may be, once more."""
    for _ in range(3):
        replayed = installation.command("dead-letter", "replay", "--yes")
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr
        if not _parked(installation):
            return
    raise AssertionError(f"still parked: {_parked(installation)}")
