"""Very many parked events: they are paged, a replay shows how far it is, and may be interrupted.

By hand, at length: `PARKED=99000 make test ARGS="tests/end_to_end/test_many_parked.py -s"`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.identity import key_of
from tests.end_to_end.forged_events import inject_unknown
from tests.end_to_end.harness import Running, running, until

PARKED = int(os.environ.get("PARKED", "5000"))
_GROWTH_MAX = 120_000_000
_DEADLINE_S = 60 + PARKED / 100
_QUERY = "query ($id: ID!) { customer(id: $id) { creditLimit { amount } } }"
_PROJECTOR = "projector customer_orders"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 3 * round(_DEADLINE_S))]


def test_very_many_parked_events_are_paged_and_replayed_in_pieces(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--processes") as installation:
        store = installation.store
        customer = store.create_customer("Busy")
        until(lambda: store.customer(customer), lambda found: found is not None)
        before = installation.resident_bytes()[_PROJECTOR]
        began_s = time.monotonic()
        inject_unknown(installation, key_of(customer, "Customer"), followed_by=PARKED)
        until(lambda: _parked(installation), lambda events: events == PARKED + 1, _DEADLINE_S)
        print(f"parked {PARKED:,} events in {time.monotonic() - began_s:.1f} s")
        grown = installation.resident_bytes()[_PROJECTOR] - before
        print(f"the projector has grown by {grown / 1e6:.0f} MB")
        assert grown < _GROWTH_MAX

        key = key_of(customer, "Customer")
        page = _lines(installation, "show", "customer_orders", key, "--limit", "7")
        assert len(page) == 7
        after = str(page[-1]["offset"])
        behind = _lines(installation, "show", "customer_orders", key, "--after", after)
        assert (len(behind), behind[0]["offset"]) == (20, page[-1]["offset"] + 1)

        began_s = time.monotonic()
        _interrupted_discard(installation)
        assert _parked(installation) == PARKED + 1, "the hole counts until everything is applied"
        [done] = _lines(installation, *_DISCARD)
        print(f"left out one and applied the rest in {time.monotonic() - began_s:.1f} s")
        assert (done["closed"], done["events"] < PARKED) == (True, True), done
        until(
            lambda: store.ask(_QUERY, {"id": customer}).data["customer"]["creditLimit"]["amount"],
            lambda amount: amount == f"{PARKED}.00",
        )
        assert _parked(installation) == 0


_DISCARD = ("discard", "customer_orders", "--why", "a test", "--yes")


def _interrupted_discard(installation: Running) -> None:
    """Begin, and interrupt it as soon as it has told how far it is."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "slackwater.command_line", "dead-letter", *_DISCARD),
            *("--data-dir", str(installation.data_dir)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        told = next(line for line in process.stderr if "events of the key are done" in line)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    print(f"interrupted: {told.strip()}")


def _parked(installation: Running) -> int:
    """Count what is parked of the one key."""
    return sum(each["events"] for each in _lines(installation, "list", "customer_orders"))


def _lines(installation: Running, *arguments: str) -> list[dict[str, Any]]:
    done = installation.command("dead-letter", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
