"""A poisonous event in a running installation: its customer waits, and nobody else."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from gateway.identity import key_of
from tests.end_to_end.forged_events import inject_keyless, inject_unknown
from tests.end_to_end.harness import Running, Store, running, until

pytestmark = pytest.mark.slow

_READ = "query ($id: ID!) { customer(id: $id) { creditLimit { amount } orderCount } }"
_LIST = "{ customers { edges { node { name } } } }"


def _entry(answer: Any, *path: str) -> dict[str, Any]:
    [found] = [each for each in answer.freshness["fields"] if tuple(each["path"]) == path]
    entry: dict[str, Any] = found
    return entry


def _set_limit(store: Store, customer: str, amount: str) -> str:
    payload = store.mutate(
        "changeCreditLimit",
        {"customerId": customer, "creditLimit": {"amount": amount, "currency": "EUR"}},
    )
    token: str = payload["consistencyToken"]
    return token


def _read(store: Store, customer: str, token: str = "") -> Any:
    return store.ask(_READ, {"id": customer}, after=[token] if token else [])


def test_a_poisonous_event_stalls_its_customer_and_nobody_else(tmp_path: Path) -> None:
    with running(tmp_path / "data") as installation:
        store = installation.store
        poisoned, other = store.create_customer("Poisoned"), store.create_customer("Other")
        until(lambda: store.customer(poisoned), lambda found: found is not None)
        inject_unknown(installation, key_of(poisoned, "Customer"))
        stalled = until(
            lambda: _entry(_read(store, poisoned), "customer"),
            lambda entry: entry["maxStalenessMs"] > entry.get("staleExceptHolesMs", 1e9),
        )
        assert (stalled["status"], stalled["holes"]) == ("STALLED", 1)

        missed = _set_limit(store, poisoned, "2000.00")
        shown = _set_limit(store, other, "3000.00")
        answer = _read(store, other, shown)
        assert answer.data["customer"]["creditLimit"]["amount"] == "3000.00"
        assert _entry(answer, "customer")["status"] == "LIVE"
        assert _read(store, poisoned, missed).codes == ["STALE_READ"]
        assert _read(store, poisoned).data["customer"]["creditLimit"]["amount"] == "1000.00"

        listed = _entry(store.ask(_LIST), "customers")
        assert (listed["holes"], listed["status"]) == (1, "STALLED")
        models = store.ask(_LIST).freshness["readModels"]
        assert models["customer_orders"]["holes"] == 1

        lag = installation.command("lag", "--json", timeout_s=60).stdout
        assert "is of unknown type customers.unheard_of" in lag

        listed_keys = installation.command("dead-letter", "list", "customer_orders", "--json")
        assert f'"key":"{key_of(poisoned, "Customer")}"' in listed_keys.stdout
        replayed = installation.command("dead-letter", "replay", "customer_orders", "--yes")
        assert (replayed.returncode, "stays parked" in replayed.stdout) == (1, True)

        installation.kill()
        installation.restart()
        again = until(
            lambda: _entry(_read(store, poisoned), "customer"),
            lambda entry: entry["status"] == "STALLED",
        )
        assert again["maxStalenessMs"] is None, "what was proven before is not known any more"
        live = until(
            lambda: _entry(_read(store, other), "customer"),
            lambda entry: entry["status"] == "LIVE",
        )
        assert live["maxStalenessMs"] < 5_000


def test_a_discard_closes_the_hole_and_a_rebuild_keeps_to_it(tmp_path: Path) -> None:
    with running(tmp_path / "data") as installation:
        store = installation.store
        poisoned = store.create_customer("Poisoned")
        until(lambda: store.customer(poisoned), lambda found: found is not None)
        inject_unknown(installation, key_of(poisoned, "Customer"))
        until(
            lambda: _entry(_read(store, poisoned), "customer"),
            lambda entry: entry["status"] == "STALLED",
        )
        later = _set_limit(store, poisoned, "2000.00")
        assert _read(store, poisoned, later).codes == ["STALE_READ"]

        discard = ("dead-letter", "discard", "customer_orders", "--why", "a test", "--by", "ops")
        assert "1 event applied, 1 discarded if you add --yes" in _run(installation, *discard)
        assert _read(store, poisoned, later).codes == ["STALE_READ"]
        assert "done, 1 event applied, 1 discarded" in _run(installation, *discard, "--yes")

        def check() -> None:
            answer = _read(store, poisoned, later)
            assert answer.data["customer"]["creditLimit"]["amount"] == "2000.00"
            live = until(
                lambda: _entry(_read(store, poisoned), "customer"),
                lambda entry: entry["status"] == "LIVE",
            )
            assert live["maxStalenessMs"] < 5_000

        check()
        assert "a test" in _run(installation, "dead-letter", "list", "--discarded")
        _run(installation, "rebuild", "customer_orders")
        check()
        assert _run(installation, "dead-letter", "list", "customer_orders") == "Nothing is parked\n"


@pytest.mark.timeout(300)
def test_a_record_without_a_key_halts_what_cannot_apply_it_until_it_is_left_out(
    tmp_path: Path,
) -> None:
    with running(tmp_path / "data") as installation:
        store = installation.store
        customer = store.create_customer("Somebody")
        until(lambda: store.customer(customer), lambda found: found is not None)
        inject_keyless(installation, key_of(customer, "Customer"))
        halted = until(
            lambda: _halted(installation, "customer_orders"), lambda reason: reason is not None
        )
        assert "a record without a key" in halted
        token = store.add_product("BOLT", stock=1)
        query = 'query { product(sku: "BOLT") { stockAvailable } }'
        assert store.ask(query, after=[token]).data["product"] == {"stockAvailable": 1}

        installation.kill()
        installation.restart()
        listed = _entry(store.ask(_LIST), "customers")
        assert (listed["status"], listed["maxStalenessMs"]) == ("UNKNOWN", None)

        leave_out = _remedy(halted)
        refused = installation.command(*_one_further(leave_out))
        assert (refused.returncode, "and not before" in refused.stderr) == (1, True)
        assert "if you add --yes" in _run(installation, *leave_out)
        assert "restart its projector" in _run(installation, *leave_out, "--yes")
        _run(installation, *_remedy(_halted(installation, "order_search") or ""), "--yes")
        assert "a test" in _run(installation, "dead-letter", "list", "--discarded")
        installation.kill()
        installation.restart()
        until(
            lambda: _entry(store.ask(_LIST), "customers"), lambda entry: entry["status"] == "LIVE"
        )
        token = _set_limit(store, customer, "2000.00")
        answer = _read(store, customer, token)
        assert answer.data["customer"]["creditLimit"]["amount"] == "2000.00"
        _run(installation, "rebuild", "customer_orders")
        assert _read(store, customer).data["customer"]["creditLimit"]["amount"] == "2000.00"


def _remedy(halted: str) -> tuple[str, ...]:
    """Return the command that the reason of a halt names."""
    [command] = re.findall(r"`slackwater (dead-letter discard .*) --why …`", halted)
    return (*shlex.split(command), "--why", "a test")


def _one_further(leave_out: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command for the record after the one that it names, in the same partition."""
    at = leave_out.index("--offset") + 1
    return (*leave_out[:at], str(int(leave_out[at]) + 1), *leave_out[at + 1 :])


def _halted(installation: Running, read_model: str) -> str | None:
    """Return why a read model is halted."""
    told = json.loads(installation.command("lag", "--json", timeout_s=60).stdout)
    reasons = [each["reason"] for each in told if each.get("read_model") == read_model]
    return next(filter(None, reasons), None)


def _run(installation: Running, *arguments: str) -> str:
    done = installation.command(*arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
