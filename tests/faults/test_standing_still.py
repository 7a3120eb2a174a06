"""Whatever stands still, the bound grows with the clock; what goes on again is fresh again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import Running, Store, running, until
from tests.faults.stalls import witnessed

pytestmark = pytest.mark.slow

# A flush takes a few milliseconds; a bound is made of several, one after another.
_STALL_S = 0.1

_QUERY = "{ customers(first: 1) { edges { node { name orderCount } } } }"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data_dir = tmp_path_factory.mktemp("still") / "data"
    with running(data_dir, "--processes") as installation:
        installation.store.create_customer()
        yield installation


def _facts(store: Store) -> dict[str, Any]:
    facts: dict[str, Any] = store.ask(_QUERY).freshness["readModels"]["customer_orders"]
    return facts


def _wait_until_idle(store: Store) -> None:
    """Wait until nothing has come for a second: tests before may have left some events behind."""
    idle_since_s = time.monotonic()
    deadline_s = idle_since_s + 20
    while time.monotonic() < idle_since_s + 1:
        assert time.monotonic() < deadline_s, "something still happens"
        if _facts(store)["lagEvents"] != 0:
            idle_since_s = time.monotonic()


def _bound_ms(store: Store) -> int:
    bound_ms: int = _facts(store)["maxStalenessMs"]
    return bound_ms


def _stays_live(store: Store, folder: Path) -> bool:
    """Look on for five seconds; False where the machine itself stood still meanwhile.

    A page that is long in reaching storage holds up everybody who writes, and the bound tells it
    truly; what an idle system's bound is has to be looked at anew.
    """
    with witnessed(folder) as witness:
        _wait_until_idle(store)
        end_s = time.monotonic() + 5
        while time.monotonic() < end_s:
            facts = _facts(store)
            if facts["maxStalenessMs"] >= 1_000 and witness.worst_s > _STALL_S:
                return False
            told = f"{facts}; the machine held up a witness for {witness.worst_s:.3f} s at most"
            assert facts["status"] == "LIVE", told
            assert facts["maxStalenessMs"] < 1_000, told
            assert facts["lagEvents"] == 0, told
    return True


def test_an_idle_system_stays_live_with_a_bound_below_a_second(
    installation: Running, tmp_path: Path
) -> None:
    until(lambda: _stays_live(installation.store, tmp_path), bool)


@pytest.mark.parametrize(
    "part", ["relay customers", "relay orders", "projector customer_orders", "service orders"]
)
def test_a_paused_part_lets_the_bound_grow_with_the_clock(installation: Running, part: str) -> None:
    store = installation.store
    until(lambda: _bound_ms(store), lambda bound_ms: bound_ms < 1_000)
    with installation.paused(part):
        # With nothing to project, a projector that stands still leaves nothing out.
        store.create_customer("Not projected yet")
        stopped_s = time.monotonic()
        while time.monotonic() < stopped_s + 2.5:
            began_s = time.monotonic()
            facts = _facts(store)
            # Nothing can prove a moment after the part stopped.
            assert facts["maxStalenessMs"] >= (began_s - stopped_s) * 1_000
            assert facts["status"] == "LAGGING" or began_s - stopped_s < 1
    until(lambda: _facts(store)["status"], lambda status: status == "LIVE")


def test_a_dead_relay_lets_the_bound_grow_until_it_is_back(installation: Running) -> None:
    store = installation.store
    killed_pid = installation.part_pid("relay customers")
    os.kill(killed_pid, signal.SIGKILL)
    until(lambda: _bound_ms(store), lambda bound_ms: bound_ms > 200)
    until(lambda: installation.part_pid("relay customers"), lambda pid: pid != killed_pid)
    restarted_s = time.monotonic()
    # Below a second it is for a while without a relay, too: it has to prove a moment since then.
    until(
        lambda: _bound_ms(store),
        lambda bound_ms: bound_ms < (time.monotonic() - restarted_s) * 1_000,
    )


def test_a_demand_that_cannot_be_met_fails_and_the_source_can_answer(
    installation: Running,
) -> None:
    store = installation.store
    until(lambda: _facts(store)["status"], lambda status: status == "LIVE")
    customer = store.create_customer("Asked")
    until(lambda: store.customer(customer), lambda shown: shown is not None)
    query = (
        "query ($id: ID!) @freshness(maxStalenessMs: 500, onStale: %s, timeoutMs: 100) "
        "{ customer(id: $id) { name } }"
    )
    with installation.paused("relay customers"):
        until(lambda: _bound_ms(store), lambda bound_ms: bound_ms > 1_000)
        for on_stale in ("FAIL", "WAIT"):
            assert store.ask(query % on_stale, {"id": customer}).codes == ["STALE_READ"]
        assert store.ask(query % "NULL", {"id": customer}).data == {"customer": None}
        served = store.ask(query % "SERVE", {"id": customer})
        assert served.data["customer"]["name"] == "Asked"
        assert served.freshness["fields"][0]["maxStalenessMs"] > 1_000
        asked = store.ask(query % "SOURCE", {"id": customer})
        assert asked.data["customer"]["name"] == "Asked"
        (entry,) = asked.freshness["fields"]
        assert entry["servedFrom"] == "SOURCE"
        assert entry["maxStalenessMs"] < 500
    until(lambda: _facts(store)["status"], lambda status: status == "LIVE")


def test_a_token_waits_for_what_it_was_given_for_and_nothing_else(installation: Running) -> None:
    store = installation.store
    store.add_product("PLACED")
    with installation.paused("relay customers"):
        customer = store.create_customer("Not published yet")
        placed = store.place_order(customer, "PLACED")["consistencyToken"]
        query = "query ($id: ID!) { customer(id: $id) { orderCount } }"
        shown = store.ask(query, {"id": customer}, after=[placed])
        assert shown.data == {"customer": None}
        assert shown.freshness["fields"][0]["absence"] == "POSSIBLY_LAGGING"
        both = [store.creation_tokens[customer], placed]
        assert store.ask(query, {"id": customer}, after=both).codes == ["STALE_READ"]
    # The relay goes on with what it left behind; a reader may be refused until it has caught up.
    read = until(
        lambda: store.ask(query, {"id": customer}, after=both),
        lambda answer: answer.codes != ["STALE_READ"],
    )
    assert read.data == {"customer": {"orderCount": 1}}


def test_reads_without_a_part_they_do_not_need_go_on(installation: Running) -> None:
    store = installation.store
    with installation.paused("projector products"):
        store.add_product("NOT-YET-PROJECTED", wait=False)
        until(
            lambda: store.ask("{ readModels { name maxStalenessMs } }").data["readModels"],
            lambda models: (
                next(m for m in models if m["name"] == "products")["maxStalenessMs"] > 1_000
            ),
        )
        until(lambda: _facts(store)["status"], lambda status: status == "LIVE")
