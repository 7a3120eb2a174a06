"""A saga step that cannot handle an event, in a running installation: one customer waits."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest

from gateway.identity import key_of
from slackwater.installation import Installation
from slackwater.settings import load_settings
from tests.end_to_end.forged_events import inject_unreadable_order
from tests.end_to_end.harness import Running, running, until

pytestmark = pytest.mark.slow

_POISON = (
    'slackwater_consumer_poisonous_events_total{consumer="customers/credit",'
    'error="UnknownEventTypeError"} 1.0'
)


def test_a_poisonous_event_stalls_the_saga_of_its_customer_and_of_nobody_else(
    tmp_path: Path,
) -> None:
    with running(tmp_path / "data") as installation:
        store = installation.store
        store.add_product("TEA", stock=10)
        waiting, other = store.create_customer("Waiting"), store.create_customer("Other")
        key = key_of(waiting, "Customer")
        inject_unreadable_order(installation, key)
        until(lambda: _parked(installation), lambda each: len(each) == 2)

        store.place_order(waiting, "TEA")
        decided = store.place_order(other, "TEA")["order"]["id"]
        assert store.decided(decided)["status"] == "APPROVED"
        [credit, stock] = until(
            lambda: _parked(installation), lambda each: [one["events"] for one in each] == [2, 2]
        )
        assert (credit["consumer"], stock["consumer"]) == ("customers/credit", "inventory/stock")
        assert (credit["key"], credit["error"]) == (key, "UnknownEventTypeError")
        assert "read_model" not in credit

        lag = json.loads(installation.command("lag", "--json", timeout_s=60).stdout)
        told = [each for each in lag if "consumer" in each]
        assert [(each["consumer"], each["holes"]) for each in told] == [
            ("customers/credit", 1),
            ("inventory/stock", 1),
        ]
        assert "customers/credit has parked 1 keys" in installation.command("lag").stdout
        assert _readiness(installation) == {200}
        assert _POISON in store.get("/metrics").text

        named = ("dead-letter", "show", "customers/credit", key)
        assert "orders.order-placed: waits behind" in installation.command(*named).stdout
        replayed = installation.command("dead-letter", "replay", "customers/credit", "--yes")
        assert (replayed.returncode, "stays parked" in replayed.stdout) == (1, True)
        why = ("--why", "a test", "--yes")
        refused = installation.command("dead-letter", "discard", "customers/credit", *why)
        assert (refused.returncode, "cannot be discarded" in refused.stdout) == (1, True)
        assert len(_parked(installation)) == 2


def _parked(installation: Running) -> list[dict[str, object]]:
    listed = installation.command("dead-letter", "list", "--json").stdout.splitlines()
    return [each for each in map(json.loads, listed) if "consumer" in each]


def _readiness(installation: Running) -> set[int]:
    settings = load_settings({"port": installation.port, "data_dir": installation.data_dir})
    urls = Installation(settings).service_urls.values()
    return {httpx2.get(f"{url}/readyz").status_code for url in urls}
