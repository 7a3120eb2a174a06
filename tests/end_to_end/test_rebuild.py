"""A read model is built anew under traffic, and readers never notice but for its version."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from tests.end_to_end.harness import Running, Store, until

pytestmark = pytest.mark.slow

_READ = (
    "query ($id: ID!) { customer(id: $id) { orderCount orders(first: 30) { edges { cursor } } } }"
)


def _rebuild(installation: Running, *arguments: str) -> list[str]:
    """Return the command that rebuilds in the installation."""
    command = [sys.executable, "-m", "slackwater.command_line", "rebuild", *arguments]
    return [*command, "--data-dir", str(installation.data_dir)]


def _run(installation: Running, *arguments: str) -> list[dict[str, Any]]:
    ran = subprocess.run(
        _rebuild(installation, *arguments, "--json"),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        env=installation.environment,
    )
    assert ran.returncode == 0, ran.stderr
    return [msgspec.json.decode(line) for line in ran.stdout.splitlines()]


def _version(store: Store, name: str) -> int:
    models = store.ask("{ readModels { name version } }").data["readModels"]
    version: int = next(model["version"] for model in models if model["name"] == name)
    return version


@contextmanager
def _traffic(port: int, customer: str, created: str, sku: str) -> Iterator[list[int]]:
    """Place orders and read them without a pause; yield the counts that were read."""
    store = Store(port)
    counts: list[int] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            placed = store.place_order(customer, sku)
            tokens = [created, placed["consistencyToken"]]
            answer = store.ask(_READ, {"id": customer}, after=tokens)
            if answer.codes != ["STALE_READ"]:
                counts.append(answer.data["customer"]["orderCount"])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield counts
    finally:
        stop.set()
        thread.join()
        store.close()


def test_a_rebuild_under_traffic_switches_without_a_gap(installation: Running) -> None:
    store = installation.store
    store.add_product("REBUILT", stock=1_000_000)
    customer = store.create_customer("Rebuilt", limit="1000000.00")
    version = _version(store, "customer_orders")
    created = store.creation_tokens[customer]
    with _traffic(installation.port, customer, created, "REBUILT") as counts:
        until(lambda: len(counts), lambda count: count > 5)
        reports = _run(installation, "customer_orders")
        switched_at = len(counts)
        until(lambda: len(counts), lambda count: count > switched_at + 5)
    assert reports[-1]["active"]
    assert _version(store, "customer_orders") == version + 1
    # With its token each read shows its own order: a gap or a step back would show here.
    assert counts == sorted(counts)
    assert len(set(counts)) == len(counts)
    until(installation.verify, lambda verified: verified.returncode == 0, timeout_s=60)


def test_a_rebuild_that_was_killed_goes_on_where_it_was(installation: Running) -> None:
    store = installation.store
    version = _version(store, "orders")
    with subprocess.Popen(
        _rebuild(installation, "orders"), stdout=subprocess.PIPE, env=installation.environment
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    reports = _run(installation, "orders")
    assert {report["version"] for report in reports} <= {version + 1, version + 2}
    assert reports[-1]["active"]
    until(installation.verify, lambda verified: verified.returncode == 0, timeout_s=60)


def test_a_version_that_readers_left_is_removed_on_request(installation: Running) -> None:
    before = _version(installation.store, "products")
    _run(installation, "products")
    assert _run(installation, "products", "--drop-old")[0]["dropped_versions"] == [before]
    assert _run(installation, "products", "--drop-old")[0]["dropped_versions"] == []
    assert installation.store.ask("{ products(first: 1) { edges { cursor } } }").data


def test_a_name_that_is_no_read_model_is_refused(installation: Running) -> None:
    refused = subprocess.run(
        _rebuild(installation, "no_such_model"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=installation.environment,
    )
    assert refused.returncode == 1
    assert "registered: customer_orders, order_search, orders, products" in refused.stderr
